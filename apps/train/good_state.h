// Which states of a run are good, and the way back to one.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/data/loader.h"
#include "apps/train/run_folder.h"
#include "pocketune/session.h"

namespace pocketune {

struct TrainState;

// What holds a number that is not finite among all that a checkpoint would save, as a fault that
// can be told ("stem.conv.weight is not finite"); empty where nothing does.
std::string FaultOfParams(const Session& session);

// Are the outputs finite for the first pictures of `split`, one batch of them? A cheaper question
// than a validation. Binds the pictures, and unbinds them again. Errors carry exit codes.
absl::StatusOr<bool> AnswersABatch(Session& session, const data::Dataset& dataset,
                                   const data::Transform& transform, data::Split split,
                                   int64_t batch);

// Where RestoreGood found what it was looking for.
enum class GoodState : uint8_t { kNewest, kOlder, kBest, kStart };

// Brings the session and `*state`, which tells of the failed attempt, back to the newest state of
// the run that `answers` accepts when the session stands there: the newer checkpoint, else the
// older, else the weights of the best epoch. Where none is accepted, back to the weights that the
// run began with. Errors carry exit codes.
absl::StatusOr<GoodState> RestoreGood(RunFolder& folder, Session& session,
                                      const std::function<absl::StatusOr<bool>()>& answers,
                                      TrainState* state);

}  // namespace pocketune
