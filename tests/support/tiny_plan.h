// A two-layer classifier of 5 samples with 7 features and 3 classes, as a plan: the first layer is
// frozen, the second learns its weight by momentum and its bias by plain gradient descent.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/base/rng.h"
#include "tests/support/plan_builder.h"

namespace pocketune::test {

inline constexpr int kTinySamples = 5;
inline constexpr int kTinyFeatures = 7;
inline constexpr int kTinyHidden = 11;
inline constexpr int kTinyClasses = 3;

// Indices into the tensors of both schedules; those from kTinyDloss on are of "train" alone.
enum TinyTensor : int32_t {
  kTinyImage,
  kTinyLabel,
  kTinyWeight,
  kTinyW1,
  kTinyB1,
  kTinyW2,
  kTinyB2,
  kTinyAffine,     // x w1 + b1
  kTinyHiddenOut,  // its ReLU, in place
  kTinyLogits,
  kTinyLoss,
  kTinyDloss,
  kTinyDlogits,
  kTinyDw2,
  kTinyDb2,
  kTinyVelocity,
  kTinyNewW2,
  kTinyNewVelocity,
  kTinyNewB2,
};

namespace internal {

class TinyPlanBuilder {
 public:
  PlanSpec Build(bool predicts) {
    AddParams();
    spec_.schedules = {Forward("train"), Forward("eval")};
    AddBackward(spec_.schedules[0]);
    if (predicts) spec_.schedules.push_back(Prediction());
    spec_.metadata = R"({"classes":["ant","bee","cat"]})";
    return std::move(spec_);
  }

 private:
  // Appends uniform values to the segment, returns where they start.
  int64_t AddValues(const std::string& name, int64_t count) {
    const int64_t offset = int64_t(spec_.segment.size() * sizeof(float));
    const RandomStream random(1, name);
    for (int64_t i = 0; i < AlignUp(count, 16); ++i) {
      spec_.segment.push_back(i < count ? random.Uniform(uint64_t(i)) - 0.5f : 0.0f);
    }
    return offset;
  }

  void AddParams() {
    spec_.name = "tiny";
    spec_.params = {{.name = "fc1.weight", .dims = {kTinyHidden, kTinyFeatures}},
                    {.name = "fc1.bias", .dims = {kTinyHidden}, .role = 1},
                    {.name = "fc2.weight", .dims = {kTinyClasses, kTinyHidden}, .trainable = true},
                    {.name = "fc2.bias", .dims = {kTinyClasses}, .trainable = true, .role = 1},
                    {.name = "fc2.weight.velocity",
                     .dims = {kTinyClasses, kTinyHidden},
                     .trainable = true,
                     .state = true,
                     .role = 6}};
    for (ParamSpec& p : spec_.params) {
      int64_t elems = 1;
      for (const int32_t d : p.dims) elems *= d;
      if (!p.state) p.segment_offset = AddValues(p.name, elems);
      if (!p.trainable) continue;
      p.ram_offset = spec_.param_bytes + spec_.optimizer_bytes;
      (p.state ? spec_.optimizer_bytes : spec_.param_bytes) += AlignUp(elems * 4);
    }
  }

  TensorSpec Arena(std::vector<int32_t> dims, DType dtype = DType::kF32) {
    int64_t bytes = 4;
    for (const int32_t d : dims) bytes *= d;
    const int64_t offset = used_;
    used_ += AlignUp(bytes);
    spec_.arena_bytes = std::max(spec_.arena_bytes, used_);
    return {std::move(dims), fb::Storage::Arena, offset, dtype};
  }

  TensorSpec Param(int index) {
    return {spec_.params[size_t(index)].dims, fb::Storage::Param, index};
  }

  ScheduleSpec Forward(const std::string& name) {
    used_ = 0;
    ScheduleSpec s{.name = name};
    s.tensors = {Arena({kTinySamples, kTinyFeatures}),
                 Arena({kTinySamples}, DType::kI32),
                 Arena({kTinySamples}),
                 Param(0),
                 {{kTinyHidden}, fb::Storage::Const, spec_.params[1].segment_offset},
                 Param(2),
                 Param(3),
                 Arena({kTinySamples, kTinyHidden})};
    s.tensors.push_back(s.tensors[kTinyAffine]);
    s.tensors.push_back(Arena({kTinySamples, kTinyClasses}));
    s.tensors.push_back(Arena({}));
    const auto linear = AttrBytes(MatmulAttrs{.trans_b = true});
    s.steps = {{.op = "matmul",
                .operands = {kTinyImage, kTinyW1, kTinyB1},
                .results = {kTinyAffine},
                .attrs = linear},
               {.op = "relu", .operands = {kTinyAffine}, .results = {kTinyHiddenOut}},
               {.op = "matmul",
                .operands = {kTinyHiddenOut, kTinyW2, kTinyB2},
                .results = {kTinyLogits},
                .attrs = linear},
               {.op = "softmax_cross_entropy",
                .operands = {kTinyLogits, kTinyLabel, kTinyWeight},
                .results = {kTinyLoss},
                .attrs = AttrBytes(LossAttrs{})}};
    s.inputs = {{"image", kTinyImage}, {"label", kTinyLabel}, {"weight", kTinyWeight}};
    s.outputs = {{"loss", kTinyLoss}, {"logits", kTinyLogits}};
    return s;
  }

  // Of one sample: what of "eval" the logits need.
  ScheduleSpec Prediction() {
    ScheduleSpec s = Forward("predict");
    for (TensorSpec& tensor : s.tensors) {
      if (tensor.storage == fb::Storage::Arena && !tensor.dims.empty()) tensor.dims[0] = 1;
    }
    s.role = fb::ScheduleRole::Predict;
    s.steps.pop_back();
    s.inputs.resize(1);
    s.outputs = {{"logits", kTinyLogits}};
    return s;
  }

  void AddBackward(ScheduleSpec& s) {
    // The eval schedule's tensors lie as train's do; go on behind them.
    s.tensors.push_back(Arena({}));
    s.tensors.push_back(Arena({kTinySamples, kTinyClasses}));
    s.tensors.push_back(Arena({kTinyClasses, kTinyHidden}));
    s.tensors.push_back(Arena({kTinyClasses}));
    for (const int param : {4, 2, 4, 3}) s.tensors.push_back(Param(param));
    const auto add = [&](StepSpec step) { s.steps.push_back(std::move(step)); };
    add({.op = "fill",
         .operands = {},
         .results = {kTinyDloss},
         .attrs = AttrBytes(ShapeAttrs{.shape = {}, .value = 1.0}),
         .phase = 1});
    add({.op = "softmax_cross_entropy_grad",
         .operands = {kTinyDloss, kTinyLogits, kTinyLabel, kTinyWeight},
         .results = {kTinyDlogits},
         .attrs = AttrBytes(LossAttrs{}),
         .phase = 1});
    add({.op = "matmul",
         .operands = {kTinyDlogits, kTinyHiddenOut},
         .results = {kTinyDw2},
         .attrs = AttrBytes(MatmulAttrs{.trans_a = true}),
         .phase = 1});
    add({.op = "momentum",
         .operands = {kTinyW2, kTinyVelocity, kTinyDw2},
         .results = {kTinyNewW2, kTinyNewVelocity},
         .attrs = AttrBytes(OptimizerAttrs{.momentum = 0.9}),
         .phase = 2});
    add({.op = "reduce_sum",
         .operands = {kTinyDlogits},
         .results = {kTinyDb2},
         .attrs = AttrBytes(ReduceAttrs{.axes = 1}),
         .phase = 1,
         .scratch_offset = Arena({2 * kTinySamples * kTinyClasses}).offset,  // sums in double
         .scratch_bytes = 8 * kTinySamples * kTinyClasses});
    add({.op = "sgd",
         .operands = {kTinyB2, kTinyDb2},
         .results = {kTinyNewB2},
         .attrs = AttrBytes(OptimizerAttrs{}),
         .phase = 2});
  }

  PlanSpec spec_;
  int64_t used_ = 0;  // of the arena, by the schedule at hand
};

}  // namespace internal

inline PlanSpec TinyPlan() { return internal::TinyPlanBuilder().Build(false); }
// The same with a schedule "predict" for one sample.
inline PlanSpec TinyPredictingPlan() { return internal::TinyPlanBuilder().Build(true); }

// A batch for it.
struct TinyBatch {
  std::vector<float> image;
  std::vector<int32_t> label = {0, 2, 1, 1, 0};
  std::vector<float> weight = {1, 1, 1, 1, 0};

  TinyBatch() {
    const RandomStream random(2, "image");
    for (uint64_t i = 0; i < kTinySamples * kTinyFeatures; ++i) {
      image.push_back(random.Uniform(i) * 2 - 1);
    }
  }
};

// The tiny plan with names of its own for all inputs and outputs, whose roles it states: "tokens"
// and "target", "share", "cost" and "scores".
inline PlanSpec TinyPlanOfOtherNames() {
  PlanSpec plan = TinyPlan();
  for (ScheduleSpec& s : plan.schedules) {
    const auto stored = [](PortRole role) { return static_cast<uint8_t>(1 + int(role)); };
    s.inputs = {{"tokens", kTinyImage, stored(PortRole::kData)},
                {"target", kTinyLabel, stored(PortRole::kLabel)},
                {"share", kTinyWeight, stored(PortRole::kSampleWeight)}};
    s.outputs = {{"cost", kTinyLoss, stored(PortRole::kLoss)},
                 {"scores", kTinyLogits, stored(PortRole::kPrediction)}};
  }
  return plan;
}

}  // namespace pocketune::test
