// Losses at the end of a forward graph.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"

namespace pocketune {

// Names of what a loss adds to a graph: the session binds these inputs and reads this output.
inline constexpr char kLabelInput[] = "label";
inline constexpr char kTargetInput[] = "target";
inline constexpr char kWeightInput[] = "weight";
inline constexpr char kLossOutput[] = "loss";

// Adds the inputs "label" i32[N] and "weight" f32[N] (1 for a sample, 0 for padding of a short
// batch), and the output "loss": softmax cross-entropy of logits[N,K], in nats, mean over the
// weights' sum. Returns the loss. 0 <= label_smoothing <= 1.
absl::StatusOr<ValueId> AttachClassificationLoss(Graph& graph, ValueId logits,
                                                 double label_smoothing);

// The same for a batch in equal slices, `logits` of each in order: the same mean over all samples.
absl::StatusOr<ValueId> AttachClassificationLoss(Graph& graph, const std::vector<ValueId>& logits,
                                                 double label_smoothing);

// The same with "target", shaped as prediction[N,..], and the mean squared error.
absl::StatusOr<ValueId> AttachSquaredLoss(Graph& graph, ValueId prediction);
absl::StatusOr<ValueId> AttachSquaredLoss(Graph& graph, const std::vector<ValueId>& predictions);

}  // namespace pocketune
