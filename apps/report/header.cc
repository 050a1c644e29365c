#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/report/html.h"
#include "apps/report/sections.h"

namespace pocketune::report {
namespace {

using Maybe = std::optional<double>;

std::string Card(const std::string& title, const std::string& value, const std::string& meters,
                 const std::string& note) {
  return absl::StrCat("<div class=\"card\"><h3>", title, "</h3><b>", value, "</b>", meters, "<p>",
                      note, "</p></div>\n");
}

double Share(Maybe part, Maybe whole) { return part && whole && *whole > 0 ? *part / *whole : 0; }

std::string StepCard(const Json& figures) {
  const Maybe mad = NumberAt(figures, "step_ms_mad");
  return Card("A step", OrDash(NumberAt(figures, "step_ms_median"), Millis), "",
              absl::StrCat("median of ", TextAt(figures, "steps"), ", ± ", OrDash(mad, Millis),
                           "<br>the first: ", OrDash(NumberAt(figures, "first_step_ms"), Millis)));
}

std::string PeakCard(const Json& figures) {
  const Maybe measured = NumberAt(figures, "measured_peak_bytes");
  const Maybe predicted = NumberAt(figures, "predicted_peak_bytes");
  const double most = std::max(measured.value_or(0), predicted.value_or(0));
  std::string note = absl::StrCat("measured, of ", OrDash(predicted, Bytes), " predicted");
  if (measured && predicted && *predicted > 0) {
    const double off = *measured / *predicted - 1;
    absl::StrAppend(&note, "<br>", Percent(std::abs(off)), off > 0 ? " above" : " below");
  }
  return Card("Peak memory", OrDash(measured, Bytes),
              Meter(Share(measured, most), "measured") + Meter(Share(predicted, most), "predicted"),
              note);
}

std::string ParamsCard(const Json& figures) {
  const Maybe learn = NumberAt(figures, "trainable_params");
  const Maybe all = NumberAt(figures, "params");
  const bool known = learn && all && *all > 0;
  return Card("Parameters that learn", known ? Percent(*learn / *all) : kDash,
              Meter(Share(learn, all), "learn"),
              absl::StrCat(OrDash(learn, Count), " of ", OrDash(all, Count)));
}

std::string MacsCard(const Json& figures) {
  const Maybe forward = NumberAt(figures, "forward_macs");
  const Maybe backward = NumberAt(figures, "backward_macs");
  const double most = std::max(forward.value_or(0), backward.value_or(0));
  return Card("Backward work", OrDash(backward, Count),
              Meter(Share(backward, most), "backward") + Meter(Share(forward, most), "forward"),
              absl::StrCat("multiply-adds a sample<br>forward: ", OrDash(forward, Count)));
}

struct Row {
  const char* key;
  const char* label;
  std::string (*format)(double);
};

constexpr Row kRows[] = {
    {"model", "Model", Number},
    {"width", "Width multiplier", Number},
    {"resolution", "Resolution", Number},
    {"classes", "Classes", Number},
    {"batch", "Batch", Number},
    {"batch_norm", "Batch norm", Number},
    {"scheme", "Update scheme", Number},
    {"optimizer", "Optimizer", Number},
    {"steps", "Steps", Number},
    {"accuracy", "Accuracy", Percent},
    {"balanced_accuracy", "Balanced accuracy: mean over classes", Percent},
    {"macro_f1", "Macro-F1: mean over classes", Percent},
    {"loss_first", "First loss", Number},
    {"loss_last", "Last loss", Number},
    {"params", "Parameters", Count},
    {"trainable_params", "of which learn", Count},
    {"forward_macs", "Forward MACs a sample", Count},
    {"backward_macs", "Backward MACs a sample", Count},
    {"backend", "Backend", Number},
    {"isa", "Instruction set", Number},
    {"threads", "Threads", Number},
    {"compile_ms", "Compiled in", Millis},
    {"arena_bytes", "Arena", Bytes},
    {"param_bytes", "Learning parameters", Bytes},
    {"optimizer_bytes", "Optimizer state", Bytes},
    {"packed_bytes", "Packed frozen weights", Bytes},
    {"predicted_peak_bytes", "Peak memory, predicted", Bytes},
    {"measured_peak_bytes", "Peak memory, measured", Bytes},
    {"baseline_rss_bytes", "Process before the plan", Bytes},
};

}  // namespace

std::string Header(const Json& figures) {
  std::string where = TextAt(figures, "split");
  if (where == kDash) where = "evaluation";
  std::string result =
      absl::StrCat("accuracy on ", TextAt(figures, "samples"), " ", where, " samples");
  if (const Maybe top5 = NumberAt(figures, "top5")) {
    absl::StrAppend(&result, "<br>top five: ", Percent(*top5));
  }
  if (const Maybe balanced = NumberAt(figures, "balanced_accuracy")) {
    absl::StrAppend(&result, "<br>each class alike: ", Percent(*balanced));
  }
  return absl::StrCat(
      "<header>\n<div><p class=\"brand\">pocketune</p>\n<h1>", TextAt(figures, "model"),
      "</h1>\n<p>learned on this device with the scheme <code>", TextAt(figures, "scheme"),
      "</code>,<br>", TextAt(figures, "resolution"), " px, batch ", TextAt(figures, "batch"), ", ",
      TextAt(figures, "optimizer"), "</p></div>\n<div class=\"score\"><b>",
      OrDash(NumberAt(figures, "accuracy"), Percent), "</b><p>", result,
      "</p></div>\n</header>\n<div class=\"cards\">\n", StepCard(figures), PeakCard(figures),
      ParamsCard(figures), MacsCard(figures), "</div>\n");
}

std::string Details(const Json& figures) {
  std::string rows = "<dl>\n";
  for (const Row& row : kRows) {
    const Maybe number = NumberAt(figures, row.key);
    absl::StrAppend(&rows, "<div><dt>", row.label, "</dt><dd>",
                    number ? row.format(*number) : TextAt(figures, row.key), "</dd></div>\n");
  }
  return Section("All figures", "", rows + "</dl>");
}

std::string Footer(const Json& figures) {
  std::string text = "<footer>\n";
  if (const std::string command = TextAt(figures, "command"); command != kDash) {
    absl::StrAppend(&text, "<p>To do this again:</p>\n<pre>", command, "</pre>\n");
  }
  const std::string version = TextAt(figures, "version");
  absl::StrAppend(&text, "<p>Made by pocketune", version == kDash ? "" : absl::StrCat(" ", version),
                  ". This page needs no network and runs no script.</p>\n</footer>\n");
  return text;
}

}  // namespace pocketune::report
