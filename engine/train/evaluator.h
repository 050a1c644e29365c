// Evaluation as the training loop needs it: from rows of frozen layers, and to be broken off.
#pragma once

#include <functional>

#include "engine/train/row_cache.h"
#include "pocketune/evaluation.h"

namespace pocketune {

// As Evaluate of pocketune/evaluation.h. With a filled `cache` (may be null) of the source and of
// the schedule "eval" the prefix's input is not loaded, and errors are those of RowCache::Bind too.
// `stop` (may be empty) is asked between batches: CANCELLED.
Result<Evaluation> EvaluateFrom(Session& session, SampleSource& source, LoaderSize size,
                                RowCache* cache, const std::function<bool()>& stop,
                                EvaluationFault* fault);

// Classes that the schedule "eval" tells apart; 0 where it does not.
int64_t ClassesOf(const Session& session);

// Are all that the schedule "eval" answers finite numbers for the first samples of `source`, one
// batch of them? A cheaper question than an evaluation. Leaves the inputs unbound.
Result<bool> AnswersABatch(Session& session, SampleSource& source, EvaluationFault* fault);

}  // namespace pocketune
