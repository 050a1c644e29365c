// The update phase: one node per parameter that learns.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autodiff/autodiff.h"

namespace pocketune {

enum class OptimizerKind { kSgd, kMomentum, kNesterov, kAdamW };

// Parameters whose names match `pattern`, a glob as of fnmatch(3): '*' takes any characters.
struct ParamGroup {
  std::string pattern;
  double lr_scale = 1.0;  // times the step's learning rate
};

// Formulas and defaults are those of torch.optim.SGD and AdamW: the decay is added to the gradient
// (SGD, momentum, Nesterov: v = momentum v + g; w -= lr v, or lr (g + momentum v) for Nesterov), or
// is decoupled (AdamW, with betas of 0.9 and 0.999 and an epsilon of 1e-8).
struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::kMomentum;
  double momentum = 0.9;
  double weight_decay = 0.0;
  bool decay_bias_and_norm = true;      // do biases, scales and shifts decay as well?
  std::vector<ParamGroup> groups = {};  // the first that matches a parameter counts
};

// "sgd", "momentum", "nesterov", "adamw".
absl::StatusOr<OptimizerKind> ParseOptimizer(const std::string& text);
const char* NameOf(OptimizerKind kind);

// Appends an update node in Phase::kUpdate for each gradient, with states of zeros named
// "<param>/velocity", or "<param>/m" and "<param>/v" for AdamW; marks the parameters trainable.
// Errors: hyperparameters out of range; a group that matches no parameter of the graph.
absl::Status AppendUpdates(Graph& graph, const std::vector<ParamGrad>& grads,
                           const OptimizerSpec& spec);

}  // namespace pocketune
