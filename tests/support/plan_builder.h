// Makes plan files from plain structs, sound or not: for tests of what reads them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/math.h"
#include "engine/ops/op_info.h"
#include "engine/plan/plan_format.h"
#include "engine/plan/plan_generated.h"

namespace pocketune::test {

struct ParamSpec {
  std::string name = {};
  std::vector<int32_t> dims = {};
  bool trainable = false;
  bool state = false;
  int64_t ram_offset = -1;
  int64_t segment_offset = -1;
  uint8_t role = 0;
  uint8_t section = 0;
  int32_t block = -1;
  int64_t base_offset = -1;
  uint32_t slices = 0;
  uint8_t layout = 0;
};

struct TensorSpec {
  std::vector<int32_t> dims = {};
  fb::Storage storage = fb::Storage::Arena;
  int64_t offset = 0;
  DType dtype = DType::kF32;
  int32_t parts = 1;
};

struct StepSpec {
  std::string op = {};
  std::vector<int32_t> operands = {};
  std::vector<int32_t> results = {};
  std::vector<uint8_t> attrs = {};
  std::string kernel = {};  // empty: "reference.<op>"
  uint8_t phase = 0;
  std::string loc = "here";
  int64_t scratch_offset = -1;
  int64_t scratch_bytes = 0;
};

struct PortSpec {
  std::string name = {};
  int32_t tensor = 0;
  uint8_t role = 0;
};

struct LoopSpec {
  int32_t first = 0;
  int32_t last = 0;
  int32_t parts = 2;
};

struct ScheduleSpec {
  std::string name = {};
  std::vector<TensorSpec> tensors = {};
  std::vector<StepSpec> steps = {};
  std::vector<PortSpec> inputs = {};
  std::vector<PortSpec> outputs = {};
  std::vector<LoopSpec> loops = {};
  fb::ScheduleRole role = fb::ScheduleRole::Unstated;
};

struct PlanSpec {
  uint32_t version = kPlanVersion;
  std::string name = "plan";
  int64_t arena_bytes = 0;
  int64_t param_bytes = 0;
  int64_t optimizer_bytes = 0;
  int64_t packed_bytes = 0;
  int64_t predicted_peak_bytes = 0;
  int32_t slots = 4;
  uint8_t isa = 0;
  std::vector<ParamSpec> params;
  std::vector<ScheduleSpec> schedules;
  std::string metadata = "{}";
  uint64_t model_identity = 0;
  uint64_t replaces = 0;
  std::vector<float> segment;
};

// The attributes as a plan stores them.
inline std::vector<uint8_t> AttrBytes(const Attrs& attrs) {
  std::vector<uint8_t> bytes(AttrsBytes(attrs).size());
  WriteAttrs(attrs, bytes);
  return bytes;
}

namespace internal {

inline flatbuffers::Offset<fb::Schedule> Build(flatbuffers::FlatBufferBuilder& b,
                                               const ScheduleSpec& spec) {
  std::vector<flatbuffers::Offset<fb::Tensor>> tensors;
  for (const TensorSpec& t : spec.tensors) {
    tensors.push_back(fb::CreateTensorDirect(b, static_cast<uint8_t>(t.dtype), &t.dims, t.storage,
                                             t.offset, t.parts));
  }
  std::vector<flatbuffers::Offset<fb::Step>> steps;
  for (const StepSpec& s : spec.steps) {
    const std::string kernel = s.kernel.empty() ? "reference." + s.op : s.kernel;
    steps.push_back(fb::CreateStepDirect(b, s.op.c_str(), kernel.c_str(), &s.operands, &s.results,
                                         &s.attrs, s.phase, s.loc.c_str(), s.scratch_offset,
                                         s.scratch_bytes));
  }
  std::vector<flatbuffers::Offset<fb::Port>> inputs, outputs;
  for (const PortSpec& p : spec.inputs) {
    inputs.push_back(fb::CreatePortDirect(b, p.name.c_str(), p.tensor, p.role));
  }
  for (const PortSpec& p : spec.outputs) {
    outputs.push_back(fb::CreatePortDirect(b, p.name.c_str(), p.tensor, p.role));
  }
  std::vector<flatbuffers::Offset<fb::Loop>> loops;
  for (const LoopSpec& l : spec.loops) loops.push_back(fb::CreateLoop(b, l.first, l.last, l.parts));
  return fb::CreateScheduleDirect(b, spec.name.c_str(), &tensors, &steps, &inputs, &outputs, &loops,
                                  spec.role);
}

// As the compiler states it, of the untrained values; 0 for plans without any.
inline uint64_t WeightsIdentity(const PlanSpec& spec) {
  ChecksumStream sum;
  for (const ParamSpec& p : spec.params) {
    const int64_t offset = p.base_offset >= 0 ? p.base_offset : p.segment_offset;
    int64_t bytes = 4;
    for (const int32_t d : p.dims) {
      if (!CheckedMul(bytes, d, &bytes)) bytes = INT64_MAX;  // spoilt on purpose
    }
    const int64_t end = int64_t(spec.segment.size() * sizeof(float));
    if (p.state || offset < 0 || bytes < 0 || offset > end || bytes > end - offset) continue;
    sum.Add(reinterpret_cast<const uint8_t*>(spec.segment.data()) + offset, size_t(bytes));
  }
  return spec.segment.empty() ? 0 : sum.Value();
}

}  // namespace internal

// The FlatBuffer alone.
inline std::vector<uint8_t> BuildMetadata(const PlanSpec& spec) {
  flatbuffers::FlatBufferBuilder b;
  std::vector<flatbuffers::Offset<fb::Param>> params;
  for (const ParamSpec& p : spec.params) {
    params.push_back(fb::CreateParamDirect(b, p.name.c_str(), &p.dims, p.role, p.section, p.block,
                                           p.trainable, p.state, p.ram_offset, p.segment_offset,
                                           p.base_offset, p.slices, p.layout));
  }
  std::vector<flatbuffers::Offset<fb::Schedule>> schedules;
  for (const ScheduleSpec& s : spec.schedules) schedules.push_back(internal::Build(b, s));
  fb::FinishPlanBuffer(
      b,
      fb::CreatePlanDirect(b, spec.version, spec.name.c_str(), spec.arena_bytes, spec.param_bytes,
                           spec.optimizer_bytes, spec.packed_bytes, spec.predicted_peak_bytes,
                           spec.slots, spec.isa, &params, &schedules, spec.metadata.c_str(),
                           spec.model_identity, internal::WeightsIdentity(spec), spec.replaces));
  return {b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()};
}

// Makes the checksums of a plan file, at least a header long, fit its bytes as far as lengths
// allow.
inline void FixPlanChecksums(std::vector<uint8_t>& file) {
  PlanHeader header;
  std::memcpy(&header, file.data(), sizeof(header));
  if (header.segment_offset >= sizeof(header) && header.segment_offset <= file.size()) {
    const size_t segment = header.segment_offset;
    header.metadata_checksum = Checksum(file.data() + sizeof(header), segment - sizeof(header));
    header.segment_checksum = Checksum(file.data() + segment, file.size() - segment);
  }
  header.header_checksum = Checksum(&header, offsetof(PlanHeader, header_checksum));
  std::memcpy(file.data(), &header, sizeof(header));
}

// A whole plan file.
inline std::vector<uint8_t> BuildPlanFile(const PlanSpec& spec) {
  const std::vector<uint8_t> metadata = BuildMetadata(spec);
  PlanHeader header;
  header.metadata_bytes = metadata.size();
  header.segment_offset =
      uint64_t(AlignUp(int64_t(sizeof(header) + metadata.size()), kSegmentAlignment));
  header.segment_bytes = spec.segment.size() * sizeof(float);
  std::vector<uint8_t> file(header.segment_offset + header.segment_bytes + kReadAheadBytes);
  std::memcpy(file.data(), &header, sizeof(header));
  std::memcpy(file.data() + sizeof(header), metadata.data(), metadata.size());
  std::memcpy(file.data() + header.segment_offset, spec.segment.data(), header.segment_bytes);
  FixPlanChecksums(file);
  return file;
}

}  // namespace pocketune::test
