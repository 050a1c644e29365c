// The contribution analysis of a scheme search: what each choice is worth, by short trainings.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/search/search_space.h"
#include "apps/search/trial.h"
#include "sparse_bp/selection.h"

namespace pocketune {

// What was found. Gains are how far the loss on validation falls, in nats.
struct Contributions {
  TrialResult head;                               // the classifier alone
  std::vector<ChoiceValue> biases;                // [k], beyond `head`; between trials interpolated
  int biases_tried = 0;                           // gains of more are taken to be those of so many
  std::vector<std::vector<double>> ratios;        // per layer: those worth a choice
  std::vector<std::vector<ChoiceValue>> weights;  // the same, beyond the biases of this layer on
  int trials = 0;
};

struct AnalysisOptions {
  int64_t max_bytes = 0;  // of extra memory: what costs more is not tried
  // Trains `learning` or remembers it; `key` names it. A trial that diverged has infinite loss.
  std::function<absl::StatusOr<TrialResult>(const std::string& key, const Learning& learning)> run;
  // Called after each trial with how many are done and how many more there may be.
  std::function<void(int done, int at_most_left)> on_trial;
};

// Trains the biases of the last k layers, every third k, until four in a row bring nothing; then
// each weight from the last layer to the first, on top of the biases from its layer on, its largest
// part first: where that brings nothing smaller ones are left out, and after eight such layers in a
// row earlier ones are.
absl::StatusOr<Contributions> AnalyseContributions(const SearchSpace& space,
                                                   const AnalysisOptions& options);

// What a selection over the contributions lets learn.
Learning LearningOf(const Contributions& contributions, const Selection& selection);

}  // namespace pocketune
