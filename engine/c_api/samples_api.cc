// Samples and evaluation in C.
#include <cxxabi.h>

#include <utility>

#include "engine/c_api/handle_call.h"
#include "engine/c_api/samples_handle.h"
#include "engine/c_api/session_handle.h"
#include "pocketune/evaluation.h"

namespace pocketune::capi {
namespace {

constexpr size_t kMostInputs = 32;

// Samples that a function of the app loads.
class CallbackSource final : public SampleSource {
 public:
  CallbackSource(int64_t count, ptn_load_fn load, void* user)
      : count_(count), load_(load), user_(user) {}

  int64_t size() const override { return count_; }

  Status Load(int64_t sample, const SampleDraw& draw, std::span<SampleInput> inputs) override {
    if (inputs.size() > kMostInputs) {
      return Status(StatusCode::kUnimplemented, "samples: the plan has too many inputs");
    }
    ptn_sample_input in_c[kMostInputs] = {};
    for (size_t i = 0; i < inputs.size(); ++i) ToC(inputs[i], &in_c[i]);
    const ptn_draw how = {draw.training ? 1 : 0, 0, draw.seed, draw.epoch};
    const Status status = Call(sample, how, in_c, inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) inputs[i].length = in_c[i].length;
    return status;
  }

 private:
  static void ToC(const SampleInput& input, ptn_sample_input* out) {
    out->name = input.name.data();
    out->data = input.data;
    out->dtype = static_cast<int32_t>(input.dtype);
    out->bytes = static_cast<size_t>(input.shape.elems() * SizeOf(input.dtype));
    out->rank = input.shape.rank();
    for (int d = 0; d < input.shape.rank(); ++d) out->dims[d] = input.shape[d];
    out->length = input.length;
  }

  Status Call(int64_t sample, const ptn_draw& how, ptn_sample_input* inputs, size_t count) const {
    ptn_status status = PTN_INTERNAL;
    try {
      status = load_(user_, sample, &how, inputs, count);
    } catch (const abi::__forced_unwind&) {
      throw;
    } catch (...) {
      return Status(StatusCode::kCancelled, "samples: the function that loads them threw");
    }
    if (status == PTN_OK) return OkStatus();
    if (status == PTN_DATA_LOSS) {
      return Status(StatusCode::kDataLoss, "samples: the function that loads them finds one bad");
    }
    const bool known = status > 0 && status <= static_cast<int32_t>(StatusCode::kDataLoss);
    return Status(known ? static_cast<StatusCode>(status) : StatusCode::kCancelled,
                  "samples: the function that loads them failed", known ? 0 : status);
  }

  const int64_t count_;
  const ptn_load_fn load_;
  void* const user_;
};

ptn_status AddSamples(std::unique_ptr<SampleSource> source, MemorySource* memory,
                      ptn_samples** out) {
  auto object = std::make_unique<SamplesHandle>();
  object->samples = std::make_shared<Samples>();
  object->samples->source = std::move(source);
  object->samples->memory = memory;
  return GiveHandle(std::move(object), out);
}

ptn_status CheckCount(int64_t count) {
  if (count > 0) return PTN_OK;
  return Fail(StatusCode::kInvalidArgument, 0, "samples: there are none (got %lld, want 1 or more)",
              static_cast<long long>(count));
}

}  // namespace

Status SamplesOf(const ptn_samples* samples, std::shared_ptr<Samples>* out) {
  return HandleTable::Global().Peek<SamplesHandle>(samples,
                                                   [&](SamplesHandle& of) { *out = of.samples; });
}

}  // namespace pocketune::capi

using namespace pocketune;
using namespace pocketune::capi;

extern "C" {

ptn_status ptn_samples_create(int64_t count, ptn_samples** out) {
  if (out == nullptr) return IsNull("samples", "out");
  *out = nullptr;
  if (const ptn_status bad = CheckCount(count)) return bad;
  return Guarded([&]() -> ptn_status {
    auto source = std::make_unique<MemorySource>(count);
    MemorySource* const memory = source.get();
    return AddSamples(std::move(source), memory, out);
  });
}

ptn_status ptn_samples_create_from(int64_t count, ptn_load_fn load, void* user, ptn_samples** out) {
  if (out == nullptr) return IsNull("samples", "out");
  *out = nullptr;
  if (load == nullptr) return IsNull("samples", "load");
  if (const ptn_status bad = CheckCount(count)) return bad;
  return Guarded([&]() -> ptn_status {
    return AddSamples(std::make_unique<CallbackSource>(count, load, user), nullptr, out);
  });
}

ptn_status ptn_samples_add(ptn_samples* samples, const char* input, const void* data,
                           size_t bytes_per_sample) {
  if (input == nullptr) return IsNull("samples", "input");
  if (data == nullptr) return IsNull("samples", "data");
  if (bytes_per_sample == 0 || bytes_per_sample > PTRDIFF_MAX) {
    return Fail(StatusCode::kInvalidArgument, 0, "samples: %s has an impossible size (got %zu)",
                input, bytes_per_sample);
  }
  return Guarded([&]() -> ptn_status {
    Held<SamplesHandle> held(samples);
    if (!held.status().ok()) return Tell(held.status(), "samples");
    Samples& all = *held->samples;
    if (all.memory == nullptr) {
      return Fail(StatusCode::kInvalidArgument, 0, "samples: a function loads these");
    }
    if (held->samples.use_count() > 1) {
      return Fail(StatusCode::kFailedPrecondition, 0, "samples: a trainer uses them");
    }
    all.memory->Add(input, data, static_cast<int64_t>(bytes_per_sample));
    return PTN_OK;
  });
}

ptn_status ptn_samples_free(ptn_samples* samples) {
  return FreeHandle<SamplesHandle>(samples, "samples");
}

ptn_status ptn_session_evaluate(ptn_session* session, ptn_samples* samples, ptn_evaluation* out) {
  if (out == nullptr) return IsNull("evaluate", "out");
  return OnSession(session, [&](SessionHandle& s) -> ptn_status {
    std::shared_ptr<Samples> source;
    if (const Status found = SamplesOf(samples, &source); !found.ok()) {
      return Tell(found, "samples");
    }
    const Result<Evaluation> judged = Evaluate(*s.session, *source->source);
    if (!judged.ok()) return Tell(judged.status());
    const Evaluation& e = judged.value();
    ptn_evaluation in_c = {};
    in_c.classes = static_cast<uint32_t>(e.confusion.size());
    in_c.samples = e.samples;
    in_c.correct = e.correct;
    in_c.correct_top5 = e.correct_top5;
    in_c.bad = static_cast<int64_t>(e.bad.size());
    in_c.loss = e.loss;
    in_c.accuracy = e.accuracy();
    in_c.balanced_accuracy = e.balanced_accuracy();
    in_c.macro_f1 = e.macro_f1();
    return GiveStruct("evaluate", in_c, out);
  });
}

}  // extern "C"
