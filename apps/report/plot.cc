#include "apps/report/plot.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace pocketune::report {
namespace {

constexpr int kMaxTicks = 50;

double NiceStep(double span, int ticks) {
  const double rough = span / ticks;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * 0.999) return factor * power;
  }
  return 10 * power;
}

std::vector<double> TicksOf(const Axis& axis) {
  std::vector<double> ticks;
  const double first = std::ceil(axis.low / axis.step - 1e-6);
  for (int i = 0; i < kMaxTicks; ++i) {
    const double value = (first + i) * axis.step;
    if (value > axis.high + axis.step * 1e-6) break;
    ticks.push_back(value == 0 ? 0 : value);  // never "-0"
  }
  return ticks;
}

double Place(const Axis& axis, double value) {
  const double at = (value - axis.low) / (axis.high - axis.low);
  return kPlotSize * std::clamp(at, 0.0, 1.0);
}

}  // namespace

Axis NiceAxis(double low, double high, int ticks, bool whole_ticks, std::string (*format)(double)) {
  const double least = std::max(1e-9, 1e-6 * std::max(std::abs(low), std::abs(high)));
  if (high - low < least) {
    low -= std::max(least, std::abs(low) * 0.1);
    high += std::max(least, std::abs(high) * 0.1);
  }
  const double step = NiceStep(high - low, ticks);
  if (!whole_ticks) return {low, high, step, format};
  return {std::floor(low / step + 1e-6) * step, std::ceil(high / step - 1e-6) * step, step, format};
}

std::string Coord(double units) { return absl::StrFormat("%.5g", units); }

double Plot::X(double value) const { return Place(x_, value); }
double Plot::Y(double value) const { return kPlotSize - Place(y_, value); }

void Plot::AddDot(double x, double y, const std::string& css_class, const std::string& tooltip) {
  // A line of no length with round caps: a circle would be stretched with the plot.
  absl::StrAppend(&shapes_, "<path class=\"dot ", css_class, "\" d=\"M", Coord(X(x)), " ",
                  Coord(Y(y)), "h0\"><title>", tooltip, "</title></path>");
}

std::string Plot::Html(const std::string& css_class, const std::string& label,
                       const std::string& x_title) const {
  std::string grid, x_labels, y_labels;
  for (const double tick : TicksOf(y_)) {
    absl::StrAppend(&grid, "M0 ", Coord(Y(tick)), "H1000");
    absl::StrAppendFormat(&y_labels, "<span style=\"top:%.2f%%\">%s</span>",
                          Y(tick) / kPlotSize * 100, y_.format(tick));
  }
  for (const double tick : TicksOf(x_)) {
    absl::StrAppendFormat(&x_labels, "<span style=\"left:%.2f%%\">%s</span>",
                          X(tick) / kPlotSize * 100, x_.format(tick));
  }
  return absl::StrCat("<div class=\"plot ", css_class, "\"><div class=\"ylabels\">", y_labels,
                      "</div><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" "
                      "role=\"img\" aria-label=\"",
                      label, "\"><path class=\"grid\" d=\"", grid, "\"/>", shapes_,
                      "</svg><div class=\"xlabels\">", x_labels, "</div><div class=\"xtitle\">",
                      x_title, "</div></div>\n");
}

}  // namespace pocketune::report
