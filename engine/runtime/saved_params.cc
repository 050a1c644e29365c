#include "engine/runtime/saved_params.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/plan/model_identity.h"
#include "engine/plan/plan_view.h"
#include "pocketune/checkpoint.h"

namespace pocketune {
namespace {

Status Damaged(const char* message, int64_t index = 0) {
  return Status(StatusCode::kDataLoss, message, static_cast<int32_t>(index));
}
Status Precondition(const char* message, int64_t index = 0) {
  return Status(StatusCode::kFailedPrecondition, message, static_cast<int32_t>(index));
}

// What a state belongs to.
struct StateOwner {
  std::string_view param;
  std::string_view optimizer;  // op
};

// By index into Plan.params, from the steps that update parameters.
std::vector<StateOwner> FindOwners(const fb::Plan& plan) {
  std::vector<StateOwner> owners(plan.params()->size());
  const auto param_of = [&](const fb::Schedule& schedule, int32_t tensor) {
    const fb::Tensor* t = tensor < 0 ? nullptr : schedule.tensors()->Get(uint32_t(tensor));
    const bool is_param = t != nullptr && t->storage() == fb::Storage::Param;
    return is_param ? static_cast<int>(t->offset()) : -1;
  };
  for (const fb::Schedule* schedule : *plan.schedules()) {
    for (const fb::Step* step : *schedule->steps()) {
      int updated = -1;
      for (const int32_t operand : *step->operands()) {
        const int param = param_of(*schedule, operand);
        if (param < 0) continue;
        const fb::Param& p = *plan.params()->Get(static_cast<uint32_t>(param));
        if (!p.state() && updated < 0) updated = param;
        if (!p.state() || updated < 0) continue;
        const fb::Param& owner = *plan.params()->Get(static_cast<uint32_t>(updated));
        owners[static_cast<size_t>(param)] = {TextOf(owner.name()), TextOf(step->op())};
      }
    }
  }
  return owners;
}

CheckpointTensor TensorOf(const fb::Param& param, const StateOwner& owner) {
  CheckpointTensor tensor = {.name = TextOf(param.name()), .shape = ShapeOf(*param.dims())};
  if (IsStatistic(param)) tensor.kind = TensorKind::kStatistic;
  if (!param.state()) return tensor;
  tensor.kind = TensorKind::kState;
  tensor.of = owner.param;
  tensor.optimizer = owner.optimizer;
  tensor.slices = param.slices();
  return tensor;
}

// What a checkpoint has: parameters as in the plan, and behind them states by name, since plans of
// a model have these in other orders.
std::vector<int> OrderOfSaving(const PlanParams& params) {
  std::vector<int> order;
  int64_t parameters = 0;
  const auto by_name = [&](int a, int b) {
    return TextOf(params.param(a).name()) < TextOf(params.param(b).name());
  };
  for (int i = 0; i < params.count(); ++i) {
    if (!params.param(i).trainable() && !params.learned_before(i)) continue;
    auto place = order.begin() + parameters;
    if (params.param(i).state()) {
      place = std::upper_bound(place, order.end(), i, by_name);
    } else {
      ++parameters;
    }
    order.insert(place, i);
  }
  return order;
}

size_t ElemsOf(const fb::Param& param) {
  return static_cast<size_t>(ShapeOf(*param.dims()).elems());
}

bool SameValues(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

// A checkpoint against a plan: first what becomes of each tensor, then, when all is well, the copy.
class Restorer {
 public:
  Restorer(const CheckpointFile& file, PlanParams& params)
      : file_(file), params_(params), owners_(FindOwners(params.file().plan())) {
    for (const CheckpointTensor& tensor : file.tensors()) saved_[tensor.name] = &tensor;
  }

  Status Match() {
    PT_RETURN_IF_ERROR(CheckModel());
    for (int i = 0; i < params_.count(); ++i) {
      const auto found = saved_.find(TextOf(params_.param(i).name()));
      const CheckpointTensor* tensor = found == saved_.end() ? nullptr : found->second;
      PT_RETURN_IF_ERROR(params_.param(i).state() ? MatchState(i, tensor) : MatchParam(i, tensor));
      if (tensor != nullptr) saved_.erase(found);
    }
    return CheckRest();
  }

  void Apply() {
    for (const Move& move : moves_) {
      std::span<float> values = params_.values(move.param);
      if (move.from == nullptr) {
        std::ranges::fill(values, 0.0f);
      } else {
        std::memcpy(values.data(), move.from, values.size_bytes());
      }
    }
    params_.store().steps = file_.info().step;
  }

  RestoreReport& report() { return report_; }

 private:
  struct Move {
    int param;
    const float* from;  // null for zeros
  };

  const fb::Plan& plan() const { return params_.file().plan(); }

  Status CheckModel() {
    report_.version = file_.version();
    const CheckpointInfo& info = file_.info();
    if (file_.version() == 1) {
      own_plan_ = info.plan_identity == params_.file().identity();
      if (own_plan_ || info.plan_identity == plan().replaces()) return OkStatus();
      return Precondition("checkpoint: it was made with another plan");
    }
    if (IsOfModel(plan(), info.model_identity)) return OkStatus();
    return Precondition("checkpoint: it was made with another model");
  }

  Status MatchState(int i, const CheckpointTensor* tensor) {
    const fb::Param& param = params_.param(i);
    const CheckpointTensor want = TensorOf(param, owners_[static_cast<size_t>(i)]);
    bool fits = tensor != nullptr && tensor->shape == want.shape;
    if (file_.version() == 1) {  // it does not say which slices a state is of
      fits = fits && (own_plan_ || want.slices == 0);
    } else {
      fits = fits && tensor->kind == want.kind && tensor->of == want.of &&
             tensor->optimizer == want.optimizer && tensor->slices == want.slices;
    }
    if (fits) {
      Take(i, *tensor);
      return OkStatus();
    }
    if (own_plan_) return Damaged("checkpoint: a tensor is not the plan's", i);
    moves_.push_back({i, nullptr});
    report_.started_states.emplace_back(want.name);
    if (tensor != nullptr) report_.left_out.emplace_back(want.name);
    return OkStatus();
  }

  Status MatchParam(int i, const CheckpointTensor* tensor) {
    const fb::Param& param = params_.param(i);
    if (tensor != nullptr) {
      const CheckpointTensor want = TensorOf(param, {});
      const bool same_kind = file_.version() == 1 || tensor->kind == want.kind;
      if (!same_kind || tensor->shape != want.shape || (own_plan_ && !param.trainable())) {
        return Damaged("checkpoint: a tensor is not the model's", i);
      }
      if (!param.trainable()) return CheckFrozen(i, *tensor);
      Take(i, *tensor);
      return OkStatus();
    }
    if (own_plan_ && param.trainable()) {
      return Damaged("checkpoint: it lacks a tensor of the plan", i);
    }
    is_whole_ = false;
    if (params_.learned_before(i)) return DiffersFrozen(i);  // the file has it as it was before
    if (!param.trainable()) return OkStatus();
    staged_.emplace_back(ElemsOf(param));
    PT_RETURN_IF_ERROR(params_.ReadBase(i, staged_.back()));
    moves_.push_back({i, staged_.back().data()});
    report_.started_params.emplace_back(TextOf(param.name()));
    return OkStatus();
  }

  // Frozen layers were folded and packed from their values: no others can take their place.
  Status CheckFrozen(int i, const CheckpointTensor& tensor) const {
    std::vector<float> values(tensor.values.size());
    PT_RETURN_IF_ERROR(params_.ReadStart(i, values));
    return SameValues(values, tensor.values) ? OkStatus() : DiffersFrozen(i);
  }
  static Status DiffersFrozen(int i) {
    return Precondition(
        "checkpoint: a parameter that does not learn under this plan had other values; compile the "
        "plan anew for it",
        i);
  }

  void Take(int i, const CheckpointTensor& tensor) {
    moves_.push_back({i, tensor.values.data()});
    ++report_.restored;
  }

  // What is left in the file, which the plan has no place for.
  Status CheckRest() {
    for (const CheckpointTensor& tensor : file_.tensors()) {
      if (saved_.count(tensor.name) == 0) continue;
      const bool owned = tensor.kind == TensorKind::kState && params_.Find(tensor.of) >= 0;
      if (own_plan_ || (file_.version() > 1 && !owned)) {
        return Damaged("checkpoint: a tensor is not the model's");
      }
      report_.left_out.emplace_back(tensor.name);
    }
    const uint64_t weights = file_.info().weights_identity;
    const bool other =
        weights != 0 && plan().weights_identity() != 0 && weights != plan().weights_identity();
    if (other && !is_whole_) {
      return Precondition("checkpoint: it goes with other weights of the model");
    }
    return OkStatus();
  }

  const CheckpointFile& file_;
  PlanParams& params_;
  const std::vector<StateOwner> owners_;
  std::unordered_map<std::string_view, const CheckpointTensor*> saved_;  // not matched yet
  bool own_plan_ = false;  // a file of version 1 that was saved under this very plan
  bool is_whole_ = true;   // has every parameter of the model
  std::vector<Move> moves_;
  std::vector<std::vector<float>> staged_;
  RestoreReport report_;
};

}  // namespace

Status SaveParams(const PlanParams& params, std::string_view user, uint64_t generation,
                  const char* path) {
  const fb::Plan& plan = params.file().plan();
  const std::vector<StateOwner> owners = FindOwners(plan);
  const std::vector<int> saved = OrderOfSaving(params);
  size_t frozen_elems = 0;
  for (const int i : saved) {
    if (!params.param(i).trainable()) frozen_elems += ElemsOf(params.param(i));
  }
  std::vector<float> frozen(frozen_elems);
  std::span<float> free(frozen);
  std::vector<CheckpointTensor> tensors;
  tensors.reserve(saved.size());
  for (const int i : saved) {
    CheckpointTensor tensor = TensorOf(params.param(i), owners[static_cast<size_t>(i)]);
    if (params.param(i).trainable()) {
      tensor.values = params.values(i);
    } else {
      const std::span<float> values = free.first(ElemsOf(params.param(i)));
      free = free.subspan(values.size());
      PT_RETURN_IF_ERROR(params.ReadStart(i, values));
      tensor.values = values;
    }
    tensors.push_back(tensor);
  }
  const CheckpointInfo info = {.model_identity = ModelIdentityOf(plan),
                               .weights_identity = plan.weights_identity(),
                               .generation = generation,
                               .step = params.store().steps,
                               .user = std::string(user)};
  return WriteCheckpoint(path, info, tensors);
}

Result<std::vector<SavedValues>> ReadModelValues(const char* plan_path) {
  const Result<PlanFile> file = PlanFile::Open(plan_path);
  if (!file.ok()) return file.status();
  std::vector<SavedValues> all;
  for (const fb::Param* param : *file.value().plan().params()) {
    if (param->state()) continue;
    SavedValues& saved = all.emplace_back();
    saved.name = std::string(TextOf(param->name()));
    saved.shape = ShapeOf(*param->dims());
    saved.values.resize(static_cast<size_t>(saved.shape.elems()));
    const int64_t offset =
        param->base_offset() >= 0 ? param->base_offset() : param->segment_offset();
    PT_RETURN_IF_ERROR(file.value().ReadSegment(
        offset, {reinterpret_cast<uint8_t*>(saved.values.data()), saved.values.size() * 4}));
  }
  return all;
}

Status RestoreParams(const CheckpointFile& file, PlanParams& params, RestoreReport* report) {
  Restorer restorer(file, params);
  PT_RETURN_IF_ERROR(restorer.Match());
  restorer.Apply();
  if (report != nullptr) *report = std::move(restorer.report());
  return OkStatus();
}

}  // namespace pocketune
