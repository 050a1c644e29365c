#include "apps/cli/search_outcome.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/cli/common.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

// Null where the analysis did not try this part of the weight, or saw no gain in it.
const ChoiceValue* ValueOf(const SearchOutcome& o, const Learning::Weight& weight) {
  const std::vector<double>& ratios = o.contributions.ratios[weight.layer];
  const auto at = std::find(ratios.begin(), ratios.end(), weight.ratio);
  if (at == ratios.end()) return nullptr;
  return &o.contributions.weights[weight.layer][at - ratios.begin()];
}

void AddWeights(const SearchOutcome& o, std::vector<std::string>* lines) {
  lines->push_back("  layer  channels     gain  memory  weight");
  for (const Learning::Weight& weight : o.chosen().weights) {
    const ChoiceValue* value = ValueOf(o, weight);
    const std::string gain = value != nullptr ? absl::StrFormat("%7.4f", value->gain) : "      -";
    lines->push_back(absl::StrFormat("  %5d  %8g  %s  %6d  %s", weight.layer, weight.ratio, gain,
                                     o.space.WeightBytes(weight.layer, weight.ratio),
                                     o.space.weight_name(weight.layer)));
  }
}

void AddFinals(const SearchOutcome& o, std::vector<std::string>* lines) {
  lines->push_back(
      absl::StrFormat("finals      %d steps each; the smallest loss is chosen", o.final_steps));
  for (const Finalist& finalist : o.finalists) {
    lines->push_back(absl::StrFormat(
        "  %-26s validation loss %.4f, accuracy %.1f %%%s", finalist.name, finalist.result.val_loss,
        100 * finalist.result.val_accuracy, &finalist.learning == &o.chosen() ? "  chosen" : ""));
  }
}

}  // namespace

int64_t SearchOutcome::training_steps() const {
  const auto finals = static_cast<int64_t>(finalists.size());
  return (contributions.trials + 1) * trial_steps + finals * final_steps;
}

std::vector<std::string> TableOf(const SearchOutcome& o) {
  const Contributions& found = o.contributions;
  std::vector<std::string> lines = {
      absl::StrFormat("analysis    %d trials of %d steps; with finals and the classifier's %d "
                      "training steps, %d trainings now",
                      found.trials, o.trial_steps, o.training_steps(), o.trained_now),
      absl::StrFormat("head        validation loss %.4f, accuracy %.1f %%", found.head.val_loss,
                      100 * found.head.val_accuracy),
      absl::StrFormat("selection   gain %.4f nats in %d bytes of extra memory, exactly; by "
                      "evolution %.4f in %d",
                      o.exact.total.gain, o.exact.total.bytes, o.evolved.total.gain,
                      o.evolved.total.bytes)};
  if (o.final_steps > 0) AddFinals(o, &lines);
  const int biases = o.chosen().biases;
  lines.push_back(absl::StrFormat("biases      of the last %d of %d layers: gain %.4f nats", biases,
                                  o.space.layers(), found.biases[biases].gain));
  AddWeights(o, &lines);
  lines.push_back(absl::StrFormat("chosen      %s, %d bytes of extra memory",
                                  o.finalists[o.winner].name, o.extra_memory_bytes));
  lines.push_back(absl::StrFormat("plan        peak memory %s, %s parameters learn",
                                  HumanBytes(o.figures.predicted_peak_bytes),
                                  HumanCount(o.figures.trainable_params)));
  return lines;
}

nlohmann::json ToJson(const SearchOutcome& o) {
  Json weights = Json::array(), finals = Json::array();
  for (const Learning::Weight& weight : o.chosen().weights) {
    const ChoiceValue* value = ValueOf(o, weight);
    weights.push_back({{"layer", weight.layer},
                       {"name", o.space.weight_name(weight.layer)},
                       {"ratio", weight.ratio},
                       {"gain", value != nullptr ? Json(value->gain) : Json()},
                       {"bytes", o.space.WeightBytes(weight.layer, weight.ratio)}});
  }
  for (const Finalist& finalist : o.finalists) {
    if (o.final_steps == 0) break;
    finals.push_back({{"name", finalist.name},
                      {"val_loss", finalist.result.val_loss},
                      {"val_accuracy", finalist.result.val_accuracy},
                      {"step_ms", finalist.result.step_ms}});
  }
  return {{"trials", o.contributions.trials},
          {"trained_now", o.trained_now},
          {"trial_steps", o.trial_steps},
          {"final_steps", o.final_steps},
          {"training_steps", o.training_steps()},
          {"head_val_loss", o.contributions.head.val_loss},
          {"head_val_accuracy", o.contributions.head.val_accuracy},
          {"exact_gain", o.exact.total.gain},
          {"exact_extra_memory_bytes", o.exact.total.bytes},
          {"evolution_gain", o.evolved.total.gain},
          {"evolution_extra_memory_bytes", o.evolved.total.bytes},
          {"finals", finals},
          {"chosen", o.finalists[o.winner].name},
          {"layers", o.space.layers()},
          {"biases", o.chosen().biases},
          {"weights", weights},
          {"extra_memory_bytes", o.extra_memory_bytes},
          {"predicted_peak_bytes", o.figures.predicted_peak_bytes},
          {"arena_bytes", o.figures.arena_bytes},
          {"trainable_params", o.figures.trainable_params}};
}

}  // namespace pocketune::cli
