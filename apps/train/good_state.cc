#include "apps/train/good_state.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/train/exit_code.h"
#include "apps/train/trainer.h"

namespace pocketune {
namespace {

absl::Status RestoreStart(Session& session, TrainState* state) {
  std::vector<float> values;
  for (const ParamInfo& param : session.params()) {
    if (!param.trainable && !param.state) continue;
    values.resize(static_cast<size_t>(param.shape.elems()));
    PT_TRY(As(ExitCode::kModel, "plan.ptplan", session.ReadBaseParam(param.name, values)));
    PT_TRY(As(ExitCode::kInternal, "train", session.WriteParam(param.name, values)));
  }
  session.set_step(0);
  *state = {};
  return absl::OkStatus();
}

// The best epoch's file holds all but the state, which stands at that epoch's end.
absl::Status RestoreBest(RunFolder& folder, Session& session, TrainState* state) {
  if (state->best_epoch < 0) return absl::NotFoundError("no epoch was validated");
  PT_TRY(folder.RestoreBest(session));
  state->step = static_cast<int64_t>(session.step());
  state->epoch_loss_sum = 0;
  state->epoch_steps = 0;
  state->epochs_without_gain = 0;
  state->done = false;
  return absl::OkStatus();
}

absl::Status RestoreAs(GoodState which, RunFolder& folder, Session& session, TrainState* state) {
  switch (which) {
    case GoodState::kNewest:
      return folder.Restore(session, state, nullptr);
    case GoodState::kOlder:
      return folder.RestoreOlder(session, state);
    case GoodState::kBest:
      return RestoreBest(folder, session, state);
    case GoodState::kStart:
      break;
  }
  return RestoreStart(session, state);
}

}  // namespace

std::string FaultOfParams(const Session& session) {
  const std::string_view name = session.FindNotFinite();
  return name.empty() ? std::string() : absl::StrCat(std::string(name), " is not finite");
}

absl::StatusOr<bool> AnswersABatch(Session& session, const data::Dataset& dataset,
                                   const data::Transform& transform, data::Split split,
                                   int64_t batch) {
  data::LoaderOptions options = data::LoaderOptions::Eval(split, batch);
  const std::vector<int64_t>& all = dataset.Indices(split);
  options.samples.assign(all.begin(), all.begin() + std::min<int64_t>(batch, int64_t(all.size())));
  options.tolerate_bad = true;
  auto loader = data::BatchLoader::Create(&dataset, transform, options);
  if (!loader.ok()) return As(ExitCode::kData, loader.status());
  const absl::StatusOr<const data::Batch*> next = (*loader)->Next();
  if (!next.ok()) return As(ExitCode::kData, next.status());
  const std::vector<float>& images = (*next)->images;
  const auto bytes = static_cast<int64_t>(images.size() * sizeof(float));
  PT_TRY(As(ExitCode::kInternal, "train", session.Bind("image", images.data(), bytes)));
  PT_TRY(As(ExitCode::kInternal, "train", session.Predict()));
  bool finite = true;
  for (const PortInfo& port : session.outputs("eval")) {
    if (port.name == "loss") continue;  // that Predict leaves out
    std::vector<float> values(static_cast<size_t>(port.shape.elems()));
    PT_TRY(As(ExitCode::kInternal, "train", session.Read("eval", port.name, values)));
    finite = finite && AllFinite(values);
  }
  PT_TRY(As(ExitCode::kInternal, "train", session.Bind("image", nullptr, bytes)));
  return finite;
}

absl::StatusOr<GoodState> RestoreGood(RunFolder& folder, Session& session,
                                      const std::function<absl::StatusOr<bool>()>& answers,
                                      TrainState* state) {
  for (const GoodState which : {GoodState::kNewest, GoodState::kOlder, GoodState::kBest}) {
    const absl::Status restored = RestoreAs(which, folder, session, state);
    const bool unusable = absl::IsNotFound(restored) || absl::IsDataLoss(restored);
    if (unusable && which != GoodState::kNewest) continue;
    PT_TRY(restored);
    if (!FaultOfParams(session).empty()) continue;
    const absl::StatusOr<bool> good = answers();
    if (!good.ok()) return good.status();
    if (*good) return which;
  }
  PT_TRY(RestoreStart(session, state));
  return GoodState::kStart;
}

}  // namespace pocketune
