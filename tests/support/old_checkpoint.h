// Checkpoints of version 1, as releases before checkpoints belonged to models wrote them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/math.h"
#include "engine/checkpoint/checkpoint_file.h"
#include "engine/checkpoint/checkpoint_generated.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {

// Writes what the checkpoint `from` holds to `to`, as one of the plan `plan_identity`: of each
// tensor its name, shape and values alone.
inline void WriteAsVersion1(const std::string& from, const std::string& to,
                            uint64_t plan_identity) {
  const Result<CheckpointFile> file = CheckpointFile::Open(from.c_str());
  ASSERT_TRUE(file.ok()) << file.status().message();
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<fb::SavedTensor>> saved;
  std::vector<uint8_t> data;
  for (const CheckpointTensor& tensor : file.value().tensors()) {
    const std::vector<int32_t> dims(tensor.shape.dims().begin(), tensor.shape.dims().end());
    const auto name = builder.CreateString(tensor.name.data(), tensor.name.size());
    saved.push_back(fb::CreateSavedTensor(builder, name, builder.CreateVector(dims),
                                          static_cast<int64_t>(data.size())));
    const auto* bytes = reinterpret_cast<const uint8_t*>(tensor.values.data());
    data.insert(data.end(), bytes, bytes + tensor.values.size_bytes());
    data.resize(static_cast<size_t>(AlignUp(static_cast<int64_t>(data.size()))));
  }
  const CheckpointInfo& info = file.value().info();
  const auto user =
      builder.CreateVector(reinterpret_cast<const uint8_t*>(info.user.data()), info.user.size());
  const auto tensors = builder.CreateVector(saved);
  fb::FinishCheckpointBuffer(
      builder, fb::CreateCheckpoint(builder, plan_identity, info.step, user, tensors));

  CheckpointHeader header;
  header.version = 1;
  header.generation = info.generation;
  header.metadata_bytes = builder.GetSize();
  header.data_offset = uint64_t(AlignUp(int64_t{sizeof(header)} + int64_t{builder.GetSize()}));
  header.data_bytes = data.size();
  std::vector<uint8_t> bytes(header.data_offset);
  std::memcpy(bytes.data() + sizeof(header), builder.GetBufferPointer(), builder.GetSize());
  bytes.insert(bytes.end(), data.begin(), data.end());
  header.body_checksum = Checksum(bytes.data() + sizeof(header), bytes.size() - sizeof(header));
  header.header_checksum = Checksum(&header, offsetof(CheckpointHeader, header_checksum));
  std::memcpy(bytes.data(), &header, sizeof(header));
  WriteBytes(to, bytes);
}

}  // namespace pocketune::test
