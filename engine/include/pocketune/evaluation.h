// How well the current parameters of a session do on samples with known answers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pocketune/sample_source.h"
#include "pocketune/session.h"
#include "pocketune/status.h"

namespace pocketune {

// What an evaluation found. Counts are samples. Where the plan tells classes apart (its schedule
// "eval" has a prediction f32[N, classes] and labels i32[N], by their roles), all of it is filled
// in; other plans have a loss alone.
struct Evaluation {
  int64_t samples = 0;  // that were judged: all but bad ones
  int64_t correct = 0;
  int64_t correct_top5 = 0;
  double loss = 0.0;  // mean over the samples, nats for classes, else the plan's own
  // Samples whose logits are NaN or infinite, and the first of them (its number in the source; -1:
  // none). They count as wrong, stand in no row of `confusion`, and make `loss` NaN.
  int64_t not_finite = 0;
  int64_t first_not_finite = -1;
  // [true class][predicted class], samples
  std::vector<std::vector<int64_t>> confusion;
  // Numbers of the samples that the source could not make sense of, in their order. They count for
  // nothing.
  std::vector<int64_t> bad;

  bool classifies() const { return !confusion.empty(); }
  // Fractions, 0 where there are no samples.
  double accuracy() const { return samples == 0 ? 0 : double(correct) / double(samples); }
  double top5() const { return samples == 0 ? 0 : double(correct_top5) / double(samples); }
  // Mean over classes of the share that is recognised, where accuracy lets large classes decide
  // (Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010). Classes
  // without samples do not count; 0 where none has any.
  double balanced_accuracy() const;
  // Mean over the same classes of F1 = 2 TP / (2 TP + FP + FN): the mean of F1 scores of Opitz and
  // Burst, "Macro F1 and Macro F1", 2019.
  double macro_f1() const;
};

// What is wrong, beside the Status, where an evaluation failed.
struct EvaluationFault {
  bool of_source = false;    // it could not load a sample, or too many were bad
  int64_t sample = -1;       // what it could not load; -1: too many were bad
  std::vector<int64_t> bad;  // found so far
};

// One pass over `source` in its order, without augmentation, through the schedule "eval". A tie
// between classes goes to the lower index; a sample whose label is not one of the classes counts
// for nothing. Binds the session's inputs, and leaves them unbound. Errors: the source's; DATA_LOSS
// where more than one sample and more than 5 % are bad; FAILED_PRECONDITION where the plan has no
// schedule "eval"; RESOURCE_EXHAUSTED. `fault` may be null.
Result<Evaluation> Evaluate(Session& session, SampleSource& source, LoaderSize size = {},
                            EvaluationFault* fault = nullptr);

bool AllFinite(std::span<const float> values);

// Indices of the `k` largest of logits[classes], best first; ties go to the lower index.
std::vector<int> TopClasses(std::span<const float> logits, int k);
// exp(x - max) / sum, in double. `logits` is not empty.
std::vector<double> Probabilities(std::span<const float> logits);

}  // namespace pocketune
