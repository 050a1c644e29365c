#include "apps/cli/figures.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "backends/cpu/cpu_kernels.h"
#include "engine/base/median.h"
#include "engine/base/resident_memory.h"

namespace pocketune::cli {
namespace {

// Calls v(key, field) for every field that is a number or a text: one list serves both ways.
template <class Trade, class V>
void VisitTrade(Trade& t, V&& v) {
  v("budget_bytes", t.budget_bytes);
  v("fastest_peak_bytes", t.fastest_peak_bytes);
  v("second_runs", t.second_runs);
  v("recomputed_macs", t.recomputed_macs);
  v("extra_time", t.extra_time);
  v("given_up", t.given_up);
}

template <class Figures, class V>
void VisitFigures(Figures& f, V&& v) {
  v("params", f.params);
  v("trainable_params", f.trainable_params);
  v("forward_macs", f.forward_macs);
  v("backward_macs", f.backward_macs);
  v("arena_bytes", f.arena_bytes);
  v("arena_lower_bound", f.arena_lower_bound);
  v("param_bytes", f.param_bytes);
  v("optimizer_bytes", f.optimizer_bytes);
  v("packed_bytes", f.packed_bytes);
  v("checkpoint_bytes", f.checkpoint_bytes);
  v("predicts_one", f.predicts_one);
  v("predicted_peak_bytes", f.predicted_peak_bytes);
  v("plan_steps", f.steps);
  v("scheme", f.scheme);
  v("micro_batch", f.micro_batch);
  v("prefix_micro_batch", f.prefix_micro_batch);
  v("saved_bits", f.saved_bits);
  v("narrowed_activations", f.narrowed_activations);
  v("step_cost_ms", f.step_cost_ms);
  v("clip_norm_bytes", f.clip_norm_bytes);
  v("compile_ms", f.compile_ms);
}

}  // namespace

nlohmann::json ToJson(const PlanFigures& f) {
  nlohmann::json json, trade;
  VisitFigures(f, [&](const char* key, const auto& field) { json[key] = field; });
  VisitTrade(f.memory, [&](const char* key, const auto& field) { trade[key] = field; });
  json["batch_norm"] = f.batch_statistics ? "train" : "frozen";
  json["memory"] = trade;
  return json;
}

PlanFigures FiguresFromJson(const nlohmann::json& json) {
  PlanFigures f;
  const nlohmann::json trade = json.value("memory", nlohmann::json::object());
  VisitFigures(f, [&](const char* key, auto& field) { field = json.value(key, field); });
  VisitTrade(f.memory, [&](const char* key, auto& field) { field = trade.value(key, field); });
  f.batch_statistics = json.value("batch_norm", "") == "train";
  return f;
}

std::vector<std::string> FigureLines(const PlanFigures& f) {
  const double share = f.params == 0 ? 0 : 100.0 * double(f.trainable_params) / double(f.params);
  std::vector<std::string> lines = {
      absl::StrFormat("parameters  %s, of which %s learn (%.1f %%); batch norm %s",
                      HumanCount(f.params), HumanCount(f.trainable_params), share,
                      f.batch_statistics ? "by batch" : "frozen"),
      absl::StrFormat("work        %s MACs forward, %s backward, a sample",
                      HumanCount(f.forward_macs), HumanCount(f.backward_macs)),
      absl::StrFormat("memory      arena %s (lower bound %s) + learning parameters %s +",
                      HumanBytes(f.arena_bytes), HumanBytes(f.arena_lower_bound),
                      HumanBytes(f.param_bytes)),
      absl::StrFormat("            optimizer %s + packed weights %s; predicted peak %s",
                      HumanBytes(f.optimizer_bytes), HumanBytes(f.packed_bytes),
                      HumanBytes(f.predicted_peak_bytes)),
      absl::StrFormat("compiled    %d operators a step, in %.0f ms", f.steps, f.compile_ms)};
  if (f.micro_batch > 0) {
    lines.push_back(
        absl::StrFormat("micro-batch %d samples at a time%s", f.micro_batch,
                        f.batch_statistics ? "; batch norm takes the statistics of so many" : ""));
  }
  if (f.saved_bits < 32) {
    lines.push_back(
        absl::StrFormat("saved       %d activations wait for the backward pass in %d bits",
                        f.narrowed_activations, f.saved_bits));
  }
  if (f.clip_norm_bytes > 0) {
    lines.push_back(
        absl::StrFormat("clipping    keeps all gradients until their norm is known: %s of the peak",
                        HumanBytes(f.clip_norm_bytes)));
  }
  return lines;
}

std::string BalancedText(const Evaluation& eval) {
  return absl::StrFormat("balanced accuracy %.1f %%, macro-F1 %.1f %%",
                         100 * eval.balanced_accuracy(), 100 * eval.macro_f1());
}

nlohmann::json RunJson(const RunSpec& spec, const CommonFlags& flags, const PlanFigures& figures,
                       const std::vector<double>& step_ms) {
  nlohmann::json json = ToJson(figures);
  json["model"] = spec.model.name;
  json["width"] = spec.model.width;
  json["resolution"] = spec.model.resolution;
  json["classes"] = spec.model.classes;
  json["batch"] = spec.model.batch;
  json["scheme"] = figures.scheme.empty() ? spec.train.scheme : figures.scheme;
  json["optimizer"] = spec.train.optimizer;
  json["threads"] = flags.threads;
  json["backend"] = "cpu";
  json["isa"] = NameOf(CurrentIsa());
  json["first_step_ms"] = nullptr;
  json["start_ms"] = nullptr;
  json["step_ms_median"] = Median(step_ms);
  json["step_ms_mad"] = MedianDeviation(step_ms);
  json["steps"] = step_ms.size();
  json["measured_peak_bytes"] = nullptr;
  json["baseline_rss_bytes"] = nullptr;
  json["process_peak_bytes"] = PeakResidentBytes();
  return json;
}

void AddMeasurement(const Measurement& memory, nlohmann::json* json) {
  (*json)["first_step_ms"] = memory.first_step_ms;
  (*json)["start_ms"] = memory.start_ms;
  (*json)["measured_peak_bytes"] = memory.measured_peak_bytes;
  (*json)["baseline_rss_bytes"] = memory.baseline_rss_bytes;
}

void SayPeak(const CommonFlags& flags, const nlohmann::json& json) {
  Say(flags, absl::StrFormat("peak memory %s of the process, of which the plan was to take %s",
                             HumanBytes(json.value("process_peak_bytes", int64_t{0})),
                             HumanBytes(json.value("predicted_peak_bytes", int64_t{0}))));
}

}  // namespace pocketune::cli
