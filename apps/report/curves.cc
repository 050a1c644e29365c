#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "apps/report/html.h"
#include "apps/report/plot.h"
#include "apps/report/sections.h"

namespace pocketune::report {
namespace {

constexpr size_t kMaxMarked = 60;  // more epochs than this are drawn without marks

struct Point {
  double x, y;
};

struct Series {
  const char* css_class;
  const char* name;
  std::vector<Point> points;
};

Series Read(const std::vector<Json>& epochs, const char* key, const char* css_class,
            const char* name) {
  Series series{css_class, name, {}};
  for (size_t i = 0; i < epochs.size(); ++i) {
    if (const auto y = NumberAt(epochs[i], key)) {
      const double x = NumberAt(epochs[i], "epoch").value_or(static_cast<double>(i + 1));
      series.points.push_back({x, *y});
    }
  }
  return series;
}

void Draw(const Series& series, std::string (*format)(double), Plot* plot) {
  std::string line;
  for (const Point& p : series.points) {
    absl::StrAppend(&line, line.empty() ? "M" : "L", Coord(plot->X(p.x)), " ", Coord(plot->Y(p.y)));
  }
  plot->Add(absl::StrCat("<path class=\"line ", series.css_class, "\" d=\"", line, "\"/>"));
  if (series.points.size() > kMaxMarked) return;
  for (const Point& p : series.points) {
    plot->AddDot(p.x, p.y, series.css_class,
                 absl::StrCat("epoch ", Number(p.x), ": ", series.name, " ", format(p.y)));
  }
}

std::string Chart(const char* title, const std::vector<Series>& all, std::string (*format)(double),
                  Point limits) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Point low{kInfinity, kInfinity}, high{-kInfinity, -kInfinity};
  std::string legend;
  for (const Series& series : all) {
    if (series.points.empty()) continue;
    absl::StrAppend(&legend,
                    LegendKey(series.css_class,
                              absl::StrCat(series.name, " ", format(series.points.back().y))));
    for (const Point& p : series.points) {
      low = {std::min(low.x, p.x), std::min(low.y, p.y)};
      high = {std::max(high.x, p.x), std::max(high.y, p.y)};
    }
  }
  if (legend.empty()) return "";
  Axis x = NiceAxis(low.x, high.x, 8, false, Number);
  x.step = std::max(1.0, x.step);
  Axis y = NiceAxis(low.y, high.y, 5, true, format);
  y.low = std::max(y.low, std::min(limits.x, low.y));
  y.high = std::min(y.high, std::max(limits.y, high.y));
  Plot plot(x, y);
  for (const Series& series : all) Draw(series, format, &plot);
  return absl::StrCat("<figure><figcaption><h3>", title, "</h3><div class=\"legend\">", legend,
                      "</div></figcaption>", plot.Html("curve", title, "epoch"), "</figure>\n");
}

std::string BestEpoch(const Series& accuracy) {
  if (accuracy.points.empty()) return "";
  const Point& best = *std::max_element(accuracy.points.begin(), accuracy.points.end(),
                                        [](const Point& a, const Point& b) { return a.y < b.y; });
  return absl::StrCat("Best on the validation split after epoch ", Number(best.x), ": ",
                      Percent(best.y), ".");
}

}  // namespace

std::string Curves(const std::vector<Json>& epochs) {
  const Series train = Read(epochs, "train_loss", "train", "train");
  const Series val = Read(epochs, "val_loss", "val", "validation");
  const Series accuracy = Read(epochs, "val_accuracy", "acc", "validation");
  const double unbounded = std::numeric_limits<double>::max();
  const std::string charts = Chart("Loss", {train, val}, Number, {0, unbounded}) +
                             Chart("Accuracy", {accuracy}, Percent, {0, 1});
  if (charts.empty()) return Section("How it learned", "No epoch was completed.", "");
  return Section("How it learned", BestEpoch(accuracy),
                 absl::StrCat("<div class=\"charts\">\n", charts, "</div>"));
}

}  // namespace pocketune::report
