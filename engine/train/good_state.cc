#include "engine/train/good_state.h"

namespace pocketune {
namespace {

Status RestoreStart(Session& session, TrainState* state) {
  PT_RETURN_IF_ERROR(session.Reset());
  *state = {};
  return OkStatus();
}

// The best epoch's tensors come without a state, which stands at that epoch's end.
Status RestoreBest(TrainStore& store, Session& session, TrainState* state) {
  if (state->best_epoch < 0) return Status(StatusCode::kNotFound, "no epoch was validated");
  PT_RETURN_IF_ERROR(store.Restore(TrainStore::Which::kBest, session, state));
  state->step = static_cast<int64_t>(session.step());
  state->epoch_loss_sum = 0;
  state->epoch_steps = 0;
  state->epochs_without_gain = 0;
  state->done = false;
  return OkStatus();
}

Status RestoreAs(GoodState which, TrainStore& store, Session& session, TrainState* state) {
  switch (which) {
    case GoodState::kNewest:
      return store.Restore(TrainStore::Which::kNewest, session, state);
    case GoodState::kOlder:
      return store.Restore(TrainStore::Which::kOlder, session, state);
    case GoodState::kBest:
      return RestoreBest(store, session, state);
    case GoodState::kStart:
      break;
  }
  return RestoreStart(session, state);
}

}  // namespace

std::string FaultOfParams(const Session& session) {
  const std::string_view name = session.FindNotFinite();
  return name.empty() ? std::string() : std::string(name) + " is not finite";
}

Result<GoodState> RestoreGood(TrainStore& store, Session& session,
                              const std::function<Result<bool>()>& answers, TrainState* state,
                              bool* of_store) {
  if (of_store != nullptr) *of_store = true;
  for (const GoodState which : {GoodState::kNewest, GoodState::kOlder, GoodState::kBest}) {
    const Status restored = RestoreAs(which, store, session, state);
    // An older state may be one of a plan under which other layers learned.
    const bool unusable = restored.code() == StatusCode::kNotFound ||
                          restored.code() == StatusCode::kDataLoss ||
                          restored.code() == StatusCode::kFailedPrecondition;
    if (unusable && which != GoodState::kNewest) continue;
    PT_RETURN_IF_ERROR(restored);
    if (!FaultOfParams(session).empty()) continue;
    const Result<bool> good = answers();
    if (!good.ok() && of_store != nullptr) *of_store = false;
    if (!good.ok()) return good.status();
    if (good.value()) return which;
  }
  if (of_store != nullptr) *of_store = false;
  PT_RETURN_IF_ERROR(RestoreStart(session, state));
  return GoodState::kStart;
}

}  // namespace pocketune
