#include "engine/checkpoint/checkpoint_file.h"

#include <cstddef>
#include <unordered_set>

#include "engine/base/checksum.h"
#include "engine/base/file_io.h"
#include "engine/base/math.h"
#include "engine/checkpoint/checkpoint_generated.h"

namespace pocketune {
namespace {

constexpr size_t kMaxUserBytes = 16 << 20;
constexpr uint64_t kMaxMetadataBytes = 64 << 20;
constexpr uint32_t kMaxTextBytes = 4096;  // of a name

using Bytes = std::span<const uint8_t>;

Status Damaged(const char* message) { return Status(StatusCode::kDataLoss, message); }

template <typename T>
Bytes AsBytes(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof(value)};
}

Bytes AsBytes(std::span<const float> values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()};
}

int64_t BytesOf(const CheckpointTensor& tensor) {
  return static_cast<int64_t>(tensor.values.size_bytes());
}

flatbuffers::FlatBufferBuilder BuildMetadata(const CheckpointInfo& info,
                                             std::span<const CheckpointTensor> tensors) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<fb::SavedTensor>> saved;
  int64_t offset = 0;
  for (const CheckpointTensor& tensor : tensors) {
    std::vector<int32_t> dims;
    for (const int64_t d : tensor.shape.dims()) dims.push_back(static_cast<int32_t>(d));
    const auto name = builder.CreateString(tensor.name.data(), tensor.name.size());
    const auto text = [&](std::string_view t) {
      return t.empty() ? flatbuffers::Offset<flatbuffers::String>()
                       : builder.CreateString(t.data(), t.size());
    };
    const auto of = text(tensor.of), optimizer = text(tensor.optimizer);
    saved.push_back(fb::CreateSavedTensor(
        builder, name, builder.CreateVector(dims), offset, static_cast<uint8_t>(DType::kF32),
        static_cast<uint8_t>(tensor.kind), of, optimizer, tensor.slices));
    offset += AlignUp(BytesOf(tensor));
  }
  const auto user =
      builder.CreateVector(reinterpret_cast<const uint8_t*>(info.user.data()), info.user.size());
  const auto all = builder.CreateVector(saved);
  fb::FinishCheckpointBuffer(
      builder, fb::CreateCheckpoint(builder, /*plan_identity=*/0, info.step, user, all,
                                    info.model_identity, info.weights_identity));
  return builder;
}

Status CheckHeader(const CheckpointHeader& header, int64_t file_bytes) {
  if (header.magic != kCheckpointMagic) return Damaged("checkpoint: the file is not a checkpoint");
  if (header.header_checksum != Checksum(&header, offsetof(CheckpointHeader, header_checksum))) {
    return Damaged("checkpoint: the header's checksum is wrong");
  }
  if (header.version > kCheckpointVersion) {
    return Status(StatusCode::kUnimplemented, "checkpoint: made by a newer version of pocketune",
                  static_cast<int32_t>(header.version));
  }
  if (header.version < kOldestCheckpointVersion || header.reserved != 0 ||
      header.metadata_bytes > kMaxMetadataBytes ||
      header.data_offset !=
          uint64_t(AlignUp(int64_t{sizeof(header)} + int64_t(header.metadata_bytes)))) {
    return Damaged("checkpoint: the header is unsound");
  }
  const int64_t data_bytes = file_bytes - static_cast<int64_t>(header.data_offset);
  if (data_bytes < 0 || header.data_bytes != static_cast<uint64_t>(data_bytes)) {
    return Damaged("checkpoint: the file's length is wrong");
  }
  return OkStatus();
}

Result<CheckpointHeader> ReadHeader(const ReadableFile& file) {
  CheckpointHeader header;
  if (file.bytes() < int64_t{sizeof(header)}) {
    return Damaged("checkpoint: the file is shorter than its header");
  }
  PT_RETURN_IF_ERROR(
      file.ReadAt(0, std::span(reinterpret_cast<uint8_t*>(&header), sizeof(header))));
  PT_RETURN_IF_ERROR(CheckHeader(header, file.bytes()));
  return header;
}

// The whole body, its checksum checked, in memory of its own: what was verified is what is used.
Result<Pages> ReadBody(const ReadableFile& file, const CheckpointHeader& header) {
  const int64_t body_bytes = file.bytes() - int64_t{sizeof(CheckpointHeader)};
  Result<Pages> body = Pages::Allocate(body_bytes);
  if (!body.ok()) return body.status();
  const std::span<uint8_t> bytes(body.value().data(), static_cast<size_t>(body_bytes));
  PT_RETURN_IF_ERROR(file.ReadAt(sizeof(CheckpointHeader), bytes));
  if (Checksum(bytes.data(), bytes.size()) != header.body_checksum) {
    return Damaged("checkpoint: the checksum is wrong");
  }
  return body;
}

std::string_view TextOf(const flatbuffers::String* text) {
  return text == nullptr ? std::string_view() : std::string_view(text->c_str(), text->size());
}

// Its shape; DATA_LOSS where that is out of range or has more than `most` values.
Result<Shape> ShapeOf(const flatbuffers::Vector<int32_t>& dims, int64_t most) {
  if (dims.size() > uint32_t{Shape::kMaxRank}) {
    return Damaged("checkpoint: a tensor has too many dimensions");
  }
  Shape shape;
  int64_t elems = 1;
  for (const int32_t d : dims) {
    if (d < 0 || !CheckedMul(elems, d, &elems) || elems > most) {
      return Damaged("checkpoint: a tensor's shape is out of range");
    }
    shape.Append(d);
  }
  return shape;
}

// The tensor, without its values.
Result<CheckpointTensor> ReadTensor(const fb::SavedTensor& saved, uint32_t version, int64_t most) {
  const Result<Shape> shape = ShapeOf(*saved.dims(), most);
  if (!shape.ok()) return shape.status();
  CheckpointTensor tensor = {.name = TextOf(saved.name()), .shape = shape.value()};
  if (tensor.name.empty() || tensor.name.size() > kMaxTextBytes) {
    return Damaged("checkpoint: a tensor's name is out of range");
  }
  if (version == 1) return tensor;
  tensor.kind = static_cast<TensorKind>(saved.kind());
  tensor.of = TextOf(saved.of());
  tensor.optimizer = TextOf(saved.optimizer());
  tensor.slices = saved.slices();
  const bool state = tensor.kind == TensorKind::kState;
  const bool sound = saved.dtype() == static_cast<uint8_t>(DType::kF32) &&
                     tensor.kind <= TensorKind::kState && state != tensor.of.empty() &&
                     state != tensor.optimizer.empty() && (state || tensor.slices == 0);
  if (!sound) return Damaged("checkpoint: a tensor is of no kind that there is");
  return tensor;
}

}  // namespace

Status WriteCheckpoint(const char* path, const CheckpointInfo& info,
                       std::span<const CheckpointTensor> tensors) {
  if (info.user.size() > kMaxUserBytes) {
    return Status(StatusCode::kInvalidArgument, "checkpoint: the user's bytes are too many");
  }
  const flatbuffers::FlatBufferBuilder metadata = BuildMetadata(info, tensors);
  static constexpr uint8_t kZeros[kAlignment] = {};
  std::vector<Bytes> body;
  const auto add = [&](Bytes bytes) {
    const int64_t n = static_cast<int64_t>(bytes.size());
    body.push_back(bytes);
    body.push_back(Bytes(kZeros, static_cast<size_t>(AlignUp(n) - n)));
  };
  CheckpointHeader header;
  header.generation = info.generation;
  header.metadata_bytes = metadata.GetSize();
  header.data_offset = uint64_t(AlignUp(int64_t{sizeof(header)} + int64_t{metadata.GetSize()}));
  add({metadata.GetBufferPointer(), metadata.GetSize()});
  for (const CheckpointTensor& tensor : tensors) {
    add(AsBytes(tensor.values));
    header.data_bytes += static_cast<uint64_t>(AlignUp(BytesOf(tensor)));
  }
  ChecksumStream checksum;
  for (const Bytes chunk : body) checksum.Add(chunk.data(), chunk.size());
  header.body_checksum = checksum.Value();
  header.header_checksum = Checksum(&header, offsetof(CheckpointHeader, header_checksum));

  std::vector<Bytes> chunks = {AsBytes(header)};
  chunks.insert(chunks.end(), body.begin(), body.end());
  return WriteFileAtomically(path, chunks);
}

Result<CheckpointHeader> ReadCheckpointHeader(const char* path) {
  const Result<ReadableFile> file = ReadableFile::Open(path);
  if (!file.ok()) return file.status();
  return ReadHeader(file.value());
}

Status VerifyCheckpoint(const char* path) {
  const Result<ReadableFile> file = ReadableFile::Open(path);
  if (!file.ok()) return file.status();
  const Result<CheckpointHeader> header = ReadHeader(file.value());
  if (!header.ok()) return header.status();
  return ReadBody(file.value(), header.value()).status();
}

Result<CheckpointFile> CheckpointFile::Open(const char* path) {
  const Result<ReadableFile> file = ReadableFile::Open(path);
  if (!file.ok()) return file.status();
  const Result<CheckpointHeader> header = ReadHeader(file.value());
  if (!header.ok()) return header.status();
  Result<Pages> body = ReadBody(file.value(), header.value());
  if (!body.ok()) return body.status();
  CheckpointFile checkpoint(std::move(body.value()), header.value());
  PT_RETURN_IF_ERROR(checkpoint.Parse(header.value()));
  return checkpoint;
}

Status CheckpointFile::Parse(const CheckpointHeader& header) {
  const uint8_t* bytes = body_.data();
  flatbuffers::Verifier verifier(bytes, static_cast<size_t>(header.metadata_bytes));
  if (header.metadata_bytes < 16 || !fb::VerifyCheckpointBuffer(verifier)) {
    return Damaged("checkpoint: the metadata is malformed");
  }
  const fb::Checkpoint& metadata = *fb::GetCheckpoint(bytes);
  info_.model_identity = metadata.model_identity();
  info_.weights_identity = metadata.weights_identity();
  info_.plan_identity = metadata.plan_identity();
  info_.step = metadata.step();
  if ((version_ == 1 ? info_.plan_identity : info_.model_identity) == 0) {
    return Damaged("checkpoint: it does not say whose it is");
  }
  const auto& user = *metadata.user();
  if (user.size() > kMaxUserBytes) return Damaged("checkpoint: the user's bytes are too many");
  info_.user.assign(reinterpret_cast<const char*>(user.data()), user.size());

  const int64_t data_bytes = static_cast<int64_t>(header.data_bytes);
  const uint8_t* data = bytes + header.data_offset - sizeof(CheckpointHeader);
  std::unordered_set<std::string_view> names;
  int64_t offset = 0;
  for (const fb::SavedTensor* saved : *metadata.tensors()) {
    Result<CheckpointTensor> tensor =
        ReadTensor(*saved, version_, (data_bytes - offset) / SizeOf(DType::kF32));
    if (!tensor.ok()) return tensor.status();
    if (saved->offset() != offset || !names.insert(tensor->name).second) {
      return Damaged("checkpoint: two tensors share a place or a name");
    }
    tensor->values = {reinterpret_cast<const float*>(data + offset),
                      static_cast<size_t>(tensor->shape.elems())};
    offset += AlignUp(BytesOf(tensor.value()));
    if (offset > data_bytes) return Damaged("checkpoint: a tensor ends behind the file");
    tensors_.push_back(tensor.value());
  }
  if (offset != data_bytes) return Damaged("checkpoint: it has more values than tensors");
  return OkStatus();
}

}  // namespace pocketune
