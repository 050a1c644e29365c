#include "apps/cli/figures.h"

#include "absl/strings/str_format.h"
#include "backends/cpu/cpu_kernels.h"
#include "engine/base/median.h"

namespace pocketune::cli {
namespace {

nlohmann::json ToJson(const MemoryTrade& trade) {
  return {{"budget_bytes", trade.budget_bytes}, {"fastest_peak_bytes", trade.fastest_peak_bytes},
          {"second_runs", trade.second_runs},   {"recomputed_macs", trade.recomputed_macs},
          {"extra_time", trade.extra_time},     {"given_up", trade.given_up}};
}

}  // namespace

nlohmann::json ToJson(const PlanFigures& f) {
  return {{"params", f.params},
          {"trainable_params", f.trainable_params},
          {"forward_macs", f.forward_macs},
          {"backward_macs", f.backward_macs},
          {"arena_bytes", f.arena_bytes},
          {"arena_lower_bound", f.arena_lower_bound},
          {"param_bytes", f.param_bytes},
          {"optimizer_bytes", f.optimizer_bytes},
          {"packed_bytes", f.packed_bytes},
          {"predicted_peak_bytes", f.predicted_peak_bytes},
          {"batch_norm", f.batch_statistics ? "train" : "frozen"},
          {"plan_steps", f.steps},
          {"scheme", f.scheme},
          {"micro_batch", f.micro_batch},
          {"prefix_micro_batch", f.prefix_micro_batch},
          {"saved_bits", f.saved_bits},
          {"narrowed_activations", f.narrowed_activations},
          {"step_cost_ms", f.step_cost_ms},
          {"clip_norm_bytes", f.clip_norm_bytes},
          {"memory", ToJson(f.memory)},
          {"compile_ms", f.compile_ms}};
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

nlohmann::json RunJson(const RunSpec& spec, const CommonFlags& flags, const PlanFigures& figures,
                       const Measurement& memory, const std::vector<double>& step_ms) {
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
  json["first_step_ms"] = memory.first_step_ms;
  json["start_ms"] = memory.start_ms;
  json["step_ms_median"] = Median(step_ms);
  json["step_ms_mad"] = MedianDeviation(step_ms);
  json["steps"] = step_ms.size();
  json["measured_peak_bytes"] = memory.measured_peak_bytes;
  json["baseline_rss_bytes"] = memory.baseline_rss_bytes;
  return json;
}

}  // namespace pocketune::cli
