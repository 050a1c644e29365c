#include "apps/cli/pareto.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/cli/target.h"
#include "apps/report/html.h"
#include "apps/report/plot.h"
#include "engine/base/file_io.h"
#include "graph/base/status_macros.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

constexpr double kWidth = 720, kHeight = 440, kLeft = 60, kRight = 30, kTop = 58, kBottom = 50;
constexpr int kAboutTicks = 5;

// An axis from one round value to another, around all of its values. Not from zero: what plans
// differ in is what one looks for.
struct Scale {
  double low, high, tick;
  double begin, end;  // on the picture

  static Scale Around(double least, double most, double begin, double end) {
    const double span = std::max(most - least, 0.1 * most);
    const report::Axis axis = report::NiceAxis(most - span, most, kAboutTicks, true, nullptr);
    const double room = 0.2;  // of a tick, above the highest
    return {axis.low, std::ceil(most / axis.step + room) * axis.step, axis.step, begin, end};
  }
  double operator()(double value) const {
    return begin + (value - low) / (high - low) * (end - begin);
  }
};

std::string Text(double x, double y, const char* anchor, const std::string& text) {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor,
                         text);
}

std::string AxesOf(const Scale& x, const Scale& y) {
  std::string svg;
  for (double mb = x.low; mb < x.high + x.tick / 2; mb += x.tick) {
    absl::StrAppendFormat(&svg, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#ddd\"/>\n", x(mb), y.begin,
                          y.end);
    svg += Text(x(mb), y.begin + 18, "middle", absl::StrFormat("%g", mb));
  }
  for (double ms = y.low; ms < y.high + y.tick / 2; ms += y.tick) {
    absl::StrAppendFormat(&svg, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#ddd\"/>\n", x.begin, y(ms),
                          x.end);
    svg += Text(x.begin - 8, y(ms) + 4, "end", absl::StrFormat("%g", ms));
  }
  svg += Text((x.begin + x.end) / 2, kHeight - 12, "middle", "predicted peak, MB");
  svg += Text(8, kTop - 16, "start", "step, ms by the cost model");
  return svg;
}

std::string HowOf(const ParetoPoint& point) {
  std::string how = point.micro_batch == 0 ? "whole batch"
                                           : absl::StrCat(point.micro_batch, " samples at a time");
  if (point.prefix_micro_batch > 0) {
    absl::StrAppend(&how, ", of frozen layers ", point.prefix_micro_batch);
  }
  if (point.second_runs > 0) {
    absl::StrAppend(&how, ", ", point.second_runs,
                    point.second_runs == 1 ? " operator runs again" : " operators run again");
  }
  if (point.saved_bits < 32) {
    absl::StrAppend(&how, ", saved activations in ", point.saved_bits, " bits");
  }
  return how;
}

Json ToJson(const std::vector<ParetoPoint>& points) {
  Json rows = Json::array();
  for (const ParetoPoint& point : points) {
    rows.push_back({{"predicted_peak_bytes", point.predicted_peak_bytes},
                    {"step_cost_ms", point.step_cost_ms},
                    {"micro_batch", point.micro_batch},
                    {"prefix_micro_batch", point.prefix_micro_batch},
                    {"second_runs", point.second_runs},
                    {"saved_bits", point.saved_bits}});
  }
  return rows;
}

}  // namespace

std::string ParetoSvg(const std::vector<ParetoPoint>& points, const std::string& title) {
  const auto mb = [](const ParetoPoint& p) { return double(p.predicted_peak_bytes) / 1e6; };
  const auto by_memory = [&](const auto& a, const auto& b) { return mb(a) < mb(b); };
  const auto by_time = [](const auto& a, const auto& b) { return a.step_cost_ms < b.step_cost_ms; };
  const auto [least, most] = std::minmax_element(points.begin(), points.end(), by_memory);
  const auto [fast, slow] = std::minmax_element(points.begin(), points.end(), by_time);
  const Scale x = Scale::Around(mb(*least), mb(*most), kLeft, kWidth - kRight);
  const Scale y = Scale::Around(fast->step_cost_ms, slow->step_cost_ms, kHeight - kBottom, kTop);
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
      kWidth, kHeight);
  svg += AxesOf(x, y);
  svg += absl::StrFormat("<text x=\"8\" y=\"22\" font-size=\"15\" font-weight=\"bold\">%s</text>\n",
                         report::Escape(title));
  std::string line, dots;
  for (const ParetoPoint& point : points) {
    const double at_x = x(mb(point)), at_y = y(point.step_cost_ms);
    absl::StrAppendFormat(&line, "%.1f,%.1f ", at_x, at_y);
    absl::StrAppendFormat(
        &dots, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"><title>%s</title></circle>\n",
        at_x, at_y, point.micro_batch + point.prefix_micro_batch == 0 ? "#06c" : "#c60",
        HowOf(point));
    // Words at the ends alone: between them plans stand close together.
    if (&point == &*least) dots += Text(at_x + 8, at_y - 8, "start", HowOf(point));
    if (&point == &*most && most != least) dots += Text(at_x, at_y + 20, "end", HowOf(point));
  }
  absl::StrAppend(&svg, "<polyline points=\"", line, "\" fill=\"none\" stroke=\"#06c\"/>\n", dots,
                  "</svg>\n");
  return svg;
}

absl::Status InspectPareto(const RunSpec& spec, const CommonFlags& flags,
                           const std::string& svg_path) {
  const absl::StatusOr<ZooModel> model = LoadModel(spec, nullptr);
  if (!model.ok()) return model.status();
  const Target target = {.threads = flags.threads, .isa = flags.isa};
  Outcome<std::vector<ParetoPoint>> points = FindPareto(model->model, spec.train, target);
  if (!points.ok()) return As(ExitCode::kUsage, points);
  Say(flags, absl::StrFormat("%12s %12s   times by the cost model, not measured", "peak", "step"));
  for (const ParetoPoint& point : points.value()) {
    Say(flags, absl::StrFormat("%12s %9.2f ms   %s", HumanBytes(point.predicted_peak_bytes),
                               point.step_cost_ms, HowOf(point)));
  }
  const std::string title =
      absl::StrFormat("%s, batch %d, %s", spec.model.name, model->spec.batch, spec.train.scheme);
  const std::string svg = ParetoSvg(points.value(), title);
  const std::span<const uint8_t> chunk(reinterpret_cast<const uint8_t*>(svg.data()), svg.size());
  PT_TRY(As(ExitCode::kIo, svg_path, WriteFileAtomically(svg_path.c_str(), {&chunk, 1})));
  Say(flags, "wrote " + svg_path);
  return EmitJson(flags, {{"model", spec.model.name},
                          {"batch", model->spec.batch},
                          {"scheme", spec.train.scheme},
                          {"times", "cost model"},
                          {"plans", ToJson(points.value())},
                          {"svg", svg_path}});
}

}  // namespace pocketune::cli
