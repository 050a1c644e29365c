// Update schemes: which parameters of a model learn. What a scheme leaves out costs nothing:
// BuildBackward visits only what the learning parameters need.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"
#include "sparse_bp/published.h"
#include "sparse_bp/update.h"

namespace pocketune {

struct UpdateRule {
  std::string pattern;  // a glob over parameter names (autodiff/glob.h)
  Update update = Update::kNone;
};

// In words that hold for any model but where `model` or `layers` say otherwise. The classifier
// (weight and bias) learns in every scheme.
struct UpdateScheme {
  enum class Kind : uint8_t {
    kFull,        // everything
    kHead,        // nothing but the classifier
    kBias,        // all biases and batch-norm shifts
    kBiasBlocks,  // those of the last `count` blocks
    kBlocks,      // everything in the last `count` blocks and behind them
    kLast,        // weights, biases and shifts of the last `count` layers (LayersOf)
    kLayers,      // layer by layer, as `layers` says
    kPockEngine,  // PockEngineScheme of the model at hand
    kRules,       // by name: the last rule that matches a parameter counts
  };
  std::string text;  // as the user wrote it: a short name, rules or a file
  Kind kind = Kind::kFull;
  int count = 0;
  std::string model;                // the only one that it is for; empty: any
  std::vector<LayerUpdate> layers;  // kLayers: as many as the model has
  Update fallback = Update::kNone;  // kRules: of parameters that no rule matches
  std::vector<UpdateRule> rules;
};

// Parses "full", "head", "bias", "bias:K", "blocks:K", "last:K", "mcunetv3:<model>-<label>",
// "pockengine", "channels(R)" for every layer, rules "PATTERN=UPDATE,PATTERN=UPDATE", or reads
// "FILE.json" (docs/sparse_bp.md).
// Errors: UNIMPLEMENTED for the contract's names that are not built yet; INVALID_ARGUMENT for
// others and for bad JSON; NOT_FOUND for a file that cannot be read.
absl::StatusOr<UpdateScheme> ParseScheme(const std::string& text);
// Parses the JSON form; `where` names it in errors, and is the scheme's text.
absl::StatusOr<UpdateScheme> ParseSchemeJson(const std::string& json, const std::string& where);

// Sets `trainable` and `slices` of the model's weights, biases, scales and shifts in a forward
// graph. Running statistics and states are left alone.
// Errors: a scheme for another model; more blocks or layers asked for than there are; a rule that
// matches no parameter; channels of what is no weight of a convolution or a linear layer; a model
// in which nothing would learn.
absl::Status ApplyScheme(Graph& forward, const UpdateScheme& scheme);

// Does batch norm take the batch's statistics unless the user says otherwise? Only under `full`.
bool UsesBatchStatistics(const UpdateScheme& scheme);

// Elements of all parameters that learn: trainable_params of the reports.
int64_t CountTrainableParams(const Graph& graph);

}  // namespace pocketune
