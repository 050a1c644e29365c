// Samples behind a handle.
#pragma once

#include <memory>

#include "engine/c_api/call.h"
#include "engine/c_api/handle_table.h"
#include "pocketune/sample_source.h"

namespace pocketune::capi {

// What a handle and the trainers share.
struct Samples {
  std::unique_ptr<SampleSource> source;
  MemorySource* memory = nullptr;  // the source, where it is one
};

struct SamplesHandle : HandleObject {
  static constexpr HandleKind kKind = HandleKind::kSamples;
  std::shared_ptr<Samples> samples;
};

// Errors as HandleTable::Peek.
Status SamplesOf(const ptn_samples* samples, std::shared_ptr<Samples>* out);

}  // namespace pocketune::capi
