#include "engine/checkpoint/checkpoint_file.h"

#include <cstddef>
#include <cstring>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/file_io.h"
#include "engine/base/math.h"
#include "engine/base/pages.h"
#include "engine/checkpoint/checkpoint_generated.h"

namespace pocketune {
namespace {

constexpr size_t kMaxUserBytes = 16 << 20;
constexpr uint64_t kMaxMetadataBytes = 64 << 20;

using Bytes = std::span<const uint8_t>;

Status Damaged(const char* message) { return Status(StatusCode::kDataLoss, message); }

template <typename T>
Bytes AsBytes(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof(value)};
}

Bytes AsBytes(std::span<float> values) {
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
    saved.push_back(fb::CreateSavedTensor(builder, name, builder.CreateVector(dims), offset));
    offset += AlignUp(BytesOf(tensor));
  }
  const auto user =
      builder.CreateVector(reinterpret_cast<const uint8_t*>(info.user.data()), info.user.size());
  const auto all = builder.CreateVector(saved);
  fb::FinishCheckpointBuffer(
      builder, fb::CreateCheckpoint(builder, info.plan_identity, info.step, user, all));
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
  if (header.version != kCheckpointVersion || header.reserved != 0 ||
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

bool SameTensor(const fb::SavedTensor& saved, const CheckpointTensor& tensor) {
  if (saved.name()->size() != tensor.name.size() ||
      std::memcmp(saved.name()->c_str(), tensor.name.data(), tensor.name.size()) != 0 ||
      saved.dims()->size() != static_cast<uint32_t>(tensor.shape.rank())) {
    return false;
  }
  for (int i = 0; i < tensor.shape.rank(); ++i) {
    if (saved.dims()->Get(static_cast<uint32_t>(i)) != tensor.shape[i]) return false;
  }
  return true;
}

// Are the saved tensors these, one behind the other, and nothing else?
Status CheckTensors(const fb::Checkpoint& checkpoint, std::span<const CheckpointTensor> tensors,
                    uint64_t data_bytes) {
  if (checkpoint.tensors()->size() != tensors.size()) {
    return Damaged("checkpoint: it has another number of tensors than the plan");
  }
  int64_t offset = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const fb::SavedTensor& saved = *checkpoint.tensors()->Get(static_cast<uint32_t>(i));
    if (!SameTensor(saved, tensors[i]) || saved.offset() != offset) {
      return Damaged("checkpoint: a tensor is not the plan's");
    }
    offset += AlignUp(BytesOf(tensors[i]));
  }
  if (data_bytes != static_cast<uint64_t>(offset)) {
    return Damaged("checkpoint: it has more or fewer values than the plan");
  }
  return OkStatus();
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

Result<CheckpointInfo> ReadCheckpoint(const char* path, uint64_t plan_identity,
                                      std::span<const CheckpointTensor> tensors) {
  const Result<ReadableFile> file = ReadableFile::Open(path);
  if (!file.ok()) return file.status();
  const Result<CheckpointHeader> header = ReadHeader(file.value());
  if (!header.ok()) return header.status();

  const Result<Pages> body = ReadBody(file.value(), header.value());
  if (!body.ok()) return body.status();
  const uint8_t* bytes = body.value().data();
  flatbuffers::Verifier verifier(bytes, static_cast<size_t>(header.value().metadata_bytes));
  if (header.value().metadata_bytes < 16 || !fb::VerifyCheckpointBuffer(verifier)) {
    return Damaged("checkpoint: the metadata is malformed");
  }
  const fb::Checkpoint& checkpoint = *fb::GetCheckpoint(bytes);
  if (checkpoint.plan_identity() != plan_identity) {
    return Status(StatusCode::kFailedPrecondition, "checkpoint: it was made with another plan");
  }
  PT_RETURN_IF_ERROR(CheckTensors(checkpoint, tensors, header.value().data_bytes));

  // All that takes memory comes before the values: nothing is changed where there is too little.
  const auto& user = *checkpoint.user();
  CheckpointInfo info = {plan_identity, header.value().generation, checkpoint.step(),
                         std::string(reinterpret_cast<const char*>(user.data()), user.size())};
  const uint8_t* data = bytes + header.value().data_offset - sizeof(CheckpointHeader);
  for (const CheckpointTensor& tensor : tensors) {
    std::memcpy(tensor.values.data(), data, tensor.values.size_bytes());
    data += AlignUp(BytesOf(tensor));
  }
  return info;
}

}  // namespace pocketune
