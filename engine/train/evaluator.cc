#include "engine/train/evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace pocketune {
namespace {

constexpr const char* kSchedule = "eval";

// The classes of `logits`, which are to be compared to `label`; 0 where they do not fit together.
int64_t ClassesOf(const PortInfo* logits, const PortInfo* label) {
  if (logits == nullptr || label == nullptr || logits->shape.rank() != 2) return 0;
  const int64_t batch = label->shape.elems();
  const bool fits =
      logits->shape[0] == batch && logits->dtype == DType::kF32 && label->dtype == DType::kI32;
  return fits ? logits->shape[1] : 0;
}

// Judges what the session answers to a batch.
class Judge {
 public:
  Judge(Session& session, const std::vector<PortInfo>& inputs, int64_t batch)
      : session_(session), batch_(batch) {
    const PortInfo* label = FindPort(inputs, PortRole::kLabel);
    if (label == nullptr || label->shape.elems() != batch) return;
    classes_ = ClassesOf(session);
    if (classes_ == 0) return;  // the plan does not tell classes apart
    label_name_ = label->name;
    const std::vector<PortInfo> outputs = session.outputs(kSchedule);
    logits_name_ = FindPort(outputs, PortRole::kPrediction)->name;
    logits_.resize(static_cast<size_t>(batch * classes_));
    const auto classes = static_cast<size_t>(classes_);
    eval_.confusion.assign(classes, std::vector<int64_t>(classes, 0));
  }

  // Of the bound batch.
  Status Add(const Batch& batch) { return classes_ > 0 ? AddAnswers(batch) : AddLoss(batch); }

  Evaluation Take(const std::vector<int64_t>& bad) {
    if (eval_.samples > 0) eval_.loss /= static_cast<double>(eval_.samples);
    eval_.bad = bad;
    return std::move(eval_);
  }

 private:
  Status AddAnswers(const Batch& batch) {
    PT_RETURN_IF_ERROR(session_.Predict());
    PT_RETURN_IF_ERROR(session_.Read(kSchedule, logits_name_, logits_));
    const auto* labels = reinterpret_cast<const int32_t*>(batch.Find(label_name_)->data);
    for (int64_t i = 0; i < batch_; ++i) {
      const auto at = static_cast<size_t>(i);
      if (batch.weights[at] == 0.0f || labels[i] < 0 || labels[i] >= classes_) continue;
      const auto classes = static_cast<size_t>(classes_);
      Count(std::span<const float>(logits_).subspan(at * classes, classes), labels[i],
            batch.samples[at]);
    }
    return OkStatus();
  }

  void Count(std::span<const float> logits, int32_t label, int64_t sample) {
    ++eval_.samples;
    if (!AllFinite(logits)) {
      if (eval_.not_finite++ == 0) eval_.first_not_finite = sample;
      eval_.loss = std::numeric_limits<double>::quiet_NaN();
      return;
    }
    const std::vector<int> top = TopClasses(logits, 5);
    if (top[0] == label) ++eval_.correct;
    if (std::find(top.begin(), top.end(), label) != top.end()) ++eval_.correct_top5;
    ++eval_.confusion[static_cast<size_t>(label)][static_cast<size_t>(top[0])];
    const std::vector<double> p = Probabilities(logits);
    eval_.loss -= std::log(std::max(p[static_cast<size_t>(label)], 1e-300));
  }

  // The mean of the batch, which counts by its samples.
  Status AddLoss(const Batch& batch) {
    const auto samples =
        static_cast<int64_t>(std::count(batch.weights.begin(), batch.weights.end(), 1.0f));
    if (samples == 0) return OkStatus();
    float loss = 0;
    const Status status = session_.EvalStep(&loss);
    if (!status.ok() && status.code() != StatusCode::kDataLoss) return status;
    eval_.samples += samples;
    eval_.loss += static_cast<double>(loss) * static_cast<double>(samples);
    if (!std::isfinite(loss)) eval_.not_finite += samples;
    if (!std::isfinite(loss) && eval_.first_not_finite < 0) {
      eval_.first_not_finite = *std::find_if(batch.samples.begin(), batch.samples.end(),
                                             [](int64_t s) { return s >= 0; });
    }
    return OkStatus();
  }

  Session& session_;
  const int64_t batch_;
  int64_t classes_ = 0;
  std::string_view logits_name_;
  std::string_view label_name_;
  std::vector<float> logits_;
  Evaluation eval_;
};

Result<std::unique_ptr<BatchLoader>> MakeLoader(const std::vector<PortInfo>& inputs,
                                                SampleSource& source, LoaderOptions options) {
  if (inputs.empty() || inputs[0].shape.rank() < 1) {
    return Status(StatusCode::kFailedPrecondition, "eval: the plan has no inputs to evaluate with");
  }
  return BatchLoader::Create(&source, std::move(options));
}

Status Report(const BatchLoader& loader, const Status& status, EvaluationFault* fault) {
  if (fault != nullptr) *fault = {true, loader.failed_sample(), loader.bad()};
  return status;
}

}  // namespace

int64_t ClassesOf(const Session& session) {
  const std::vector<PortInfo> inputs = session.inputs(kSchedule);
  const std::vector<PortInfo> outputs = session.outputs(kSchedule);
  return ClassesOf(FindPort(outputs, PortRole::kPrediction), FindPort(inputs, PortRole::kLabel));
}

Result<Evaluation> Evaluate(Session& session, SampleSource& source, LoaderSize size,
                            EvaluationFault* fault) {
  return EvaluateFrom(session, source, size, nullptr, {}, fault);
}

Result<Evaluation> EvaluateFrom(Session& session, SampleSource& source, LoaderSize size,
                                RowCache* cache, const std::function<bool()>& stop,
                                EvaluationFault* fault) {
  const std::vector<PortInfo> inputs = session.inputs(kSchedule);
  const int64_t batch = inputs.empty() ? 0 : inputs[0].shape[0];
  LoaderOptions options = LoaderOptions::Eval(inputs, batch, size);
  if (cache != nullptr) {
    options.from_rows = true;
    options.known_bad = cache->bad();
  }
  Result<std::unique_ptr<BatchLoader>> made = MakeLoader(inputs, source, std::move(options));
  if (!made.ok()) return made.status();
  BatchLoader& loader = *made.value();
  Judge judge(session, inputs, batch);
  Status status;
  while (status.ok()) {
    const Result<const Batch*> next = loader.Next();
    if (!next.ok()) return Report(loader, next.status(), fault);
    if (next.value() == nullptr) break;
    if (stop && stop()) status = Status(StatusCode::kCancelled, "eval: stopped");
    if (status.ok() && cache != nullptr) status = cache->Bind(*next.value());
    if (status.ok()) status = BindBatch(session, *next.value());
    if (status.ok()) status = judge.Add(*next.value());
  }
  if (cache != nullptr) cache->Unbind();
  UnbindInputs(session, inputs);
  if (!status.ok()) return status;
  return judge.Take(loader.bad());
}

Result<bool> AnswersABatch(Session& session, SampleSource& source, EvaluationFault* fault) {
  const std::vector<PortInfo> inputs = session.inputs(kSchedule);
  const int64_t batch = inputs.empty() ? 0 : inputs[0].shape[0];
  LoaderOptions options = LoaderOptions::Eval(inputs, batch, {});
  for (int64_t i = 0; i < std::min(batch, source.size()); ++i) options.samples.push_back(i);
  options.tolerate_bad = true;
  Result<std::unique_ptr<BatchLoader>> loader = MakeLoader(inputs, source, std::move(options));
  if (!loader.ok()) return loader.status();
  const Result<const Batch*> next = loader.value()->Next();
  if (!next.ok()) return Report(*loader.value(), next.status(), fault);
  Status status = BindBatch(session, *next.value());
  if (status.ok()) status = session.Predict();
  bool finite = true;
  for (const PortInfo& port : session.outputs(kSchedule)) {
    if (!status.ok() || port.role == PortRole::kLoss) continue;  // that Predict leaves out
    std::vector<float> values(static_cast<size_t>(port.shape.elems()));
    status = session.Read(kSchedule, port.name, values);
    finite = finite && AllFinite(values);
  }
  UnbindInputs(session, inputs);
  if (!status.ok()) return status;
  return finite;
}

}  // namespace pocketune
