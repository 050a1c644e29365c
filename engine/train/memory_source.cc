#include <cstring>

#include "pocketune/sample_source.h"

namespace pocketune {
namespace {

Status InvalidArgument(const char* message) {
  return Status(StatusCode::kInvalidArgument, message);
}

}  // namespace

void MemorySource::Add(std::string_view name, const void* data, int64_t bytes_per_sample) {
  columns_.push_back(
      {std::string(name), static_cast<const uint8_t*>(data), bytes_per_sample, {}, {}});
}

void MemorySource::AddRagged(std::string_view name, const void* data, int64_t bytes_per_entry,
                             std::span<const int64_t> offsets, std::string_view length_input) {
  columns_.push_back({std::string(name), static_cast<const uint8_t*>(data), bytes_per_entry,
                      offsets, std::string(length_input)});
}

const MemorySource::Column* MemorySource::Find(std::string_view name) const {
  for (const Column& column : columns_) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

Status MemorySource::LoadInput(int64_t sample, SampleInput* input) const {
  const auto at = static_cast<size_t>(sample);
  const Column* column = Find(input->name);
  if (column == nullptr) {
    for (const Column& ragged : columns_) {
      if (ragged.offsets.empty() || ragged.length_input != input->name) continue;
      if (input->dtype != DType::kI32 || input->shape.elems() != 1) {
        return InvalidArgument("source: an input for lengths is not i32[N]");
      }
      input->values<int32_t>()[0] =
          static_cast<int32_t>(ragged.offsets[at + 1] - ragged.offsets[at]);
      return OkStatus();
    }
    return InvalidArgument("source: an input of the plan was not added");
  }
  const int64_t bytes = input->shape.elems() * SizeOf(input->dtype);
  if (column->offsets.empty()) {
    if (column->bytes != bytes) {
      return InvalidArgument("source: a sample has another size than the plan's input");
    }
    std::memcpy(input->data, column->data + sample * bytes, static_cast<size_t>(bytes));
    return OkStatus();
  }
  const int64_t entries = column->offsets[at + 1] - column->offsets[at];
  if (input->length == 0 || column->bytes != bytes / input->length) {
    return InvalidArgument("source: an entry has another size than the plan's input");
  }
  if (entries < 0 || entries > input->length) {
    return Status(StatusCode::kDataLoss, "source: a sample is longer than the plan's input");
  }
  std::memcpy(input->data, column->data + column->offsets[at] * column->bytes,
              static_cast<size_t>(entries * column->bytes));
  input->length = entries;
  return OkStatus();
}

Status MemorySource::Load(int64_t sample, const SampleDraw& /*draw*/,
                          std::span<SampleInput> inputs) {
  for (const Column& column : columns_) {
    if (!column.offsets.empty() && static_cast<int64_t>(column.offsets.size()) != samples_ + 1) {
      return InvalidArgument("source: ragged samples want one offset more than there are samples");
    }
  }
  for (SampleInput& input : inputs) {
    if (input.data != nullptr) PT_RETURN_IF_ERROR(LoadInput(sample, &input));
  }
  return OkStatus();
}

}  // namespace pocketune
