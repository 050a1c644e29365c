// Which states of a training are good, and the way back to one.
#pragma once

#include <functional>
#include <string>

#include "pocketune/session.h"
#include "pocketune/train.h"

namespace pocketune {

// What holds a number that is not finite among all that a checkpoint would save, as a fault that
// can be told ("stem.conv.weight is not finite"); empty where nothing does.
std::string FaultOfParams(const Session& session);

// Where RestoreGood found what it was looking for.
enum class GoodState : uint8_t { kNewest, kOlder, kBest, kStart };

// Brings the session and `*state`, which tells of the failed attempt, back to the newest state of
// the training that `answers` accepts when the session stands there: the newer checkpoint, else the
// older, else the weights of the best epoch. Where none is accepted, back to the weights that the
// plan was compiled with. Errors of the store and of `answers`; `*of_store` says which (may be
// null).
Result<GoodState> RestoreGood(TrainStore& store, Session& session,
                              const std::function<Result<bool>()>& answers, TrainState* state,
                              bool* of_store = nullptr);

}  // namespace pocketune
