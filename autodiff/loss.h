// Losses at the end of a forward graph.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"
#include "graph/ir/loss_ports.h"

namespace pocketune {

// What a loss calls the ports that it adds to a graph where nobody says otherwise.
inline constexpr char kLabelInput[] = "label";
inline constexpr char kTargetInput[] = "target";
inline constexpr char kWeightInput[] = "weight";
inline constexpr char kLossOutput[] = "loss";

// Adds a label i32[N], sample weights f32[N] (1 for a sample, 0 for padding of a short batch), and
// the loss: softmax cross-entropy of logits[N,K], in nats, mean over the weights' sum. Returns the
// loss. 0 <= label_smoothing <= 1.
absl::StatusOr<ValueId> AttachClassificationLoss(Graph& graph, ValueId logits,
                                                 double label_smoothing,
                                                 const LossPorts& ports = {
                                                     kLabelInput, kWeightInput, kLossOutput});

// The same for a batch in equal slices, `logits` of each in order: the same mean over all samples.
absl::StatusOr<ValueId> AttachClassificationLoss(Graph& graph, const std::vector<ValueId>& logits,
                                                 double label_smoothing,
                                                 const LossPorts& ports = {
                                                     kLabelInput, kWeightInput, kLossOutput});

// The same with a label shaped as prediction[N,..], and the mean squared error.
absl::StatusOr<ValueId> AttachSquaredLoss(Graph& graph, ValueId prediction,
                                          const LossPorts& ports = {kTargetInput, kWeightInput,
                                                                    kLossOutput});
absl::StatusOr<ValueId> AttachSquaredLoss(Graph& graph, const std::vector<ValueId>& predictions,
                                          const LossPorts& ports = {kTargetInput, kWeightInput,
                                                                    kLossOutput});

}  // namespace pocketune
