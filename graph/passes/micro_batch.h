// Runs a batch in slices, one behind the other, within one static graph.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"

namespace pocketune {

// Numbers of equal slices, above one, in which a batch may run.
std::vector<int> SlicesOf(int batch);
// Samples of one slice; 0 where there is but one.
int MicroBatchOf(int slices, int batch);

// A forward graph that runs once per slice of the batch, over the same parameters.
struct SplitForward {
  Graph graph;                       // stage kForward; inputs as they were; no outputs
  std::vector<ValueId> predictions;  // per slice: of what was `prediction`
  std::vector<int> slice_of;         // per node
};

// Splits the batch (dimension 0 of every input) into `slices` equal parts. Running statistics
// follow the mean of the slices' statistics, once. Errors: kInvalidArgument where the batch is no
// multiple of `slices`; kUnimplemented for an op that mixes samples, named.
absl::StatusOr<SplitForward> SplitBatch(const Graph& forward, ValueId prediction, int slices);

// The same graph, in which the nodes marked in `prefix` (per node; closed: what a marked node reads
// is made by marked ones) run once per slice, and what others or outputs read of their results is
// put together again. Errors as SplitBatch.
absl::StatusOr<Graph> SlicePrefix(const Graph& forward, const std::vector<bool>& prefix,
                                  int slices);

// The same graph for one sample out of a batch of so many: inputs and outputs of one row. Errors as
// SplitBatch.
absl::StatusOr<Graph> SingleSample(const Graph& forward, int batch);

// The nodes on which nothing that learns has an influence and that compute the same for a sample
// whatever others there are: no statistics of the batch, no dropout.
std::vector<bool> FrozenPrefix(const Graph& forward);

// Puts all that belongs to one slice, backward pass and added-up gradients included, behind what
// belongs to those after which BuildBackward works: the last slice runs first. `slice_of` is of the
// forward graph, to which nodes have been appended since.
void OrderBySlice(Graph& graph, const std::vector<int>& slice_of, int slices);

}  // namespace pocketune
