// A plot of one SVG that stretches with its place, and axis labels in HTML around it, so that text
// keeps its size on a narrow screen.
#pragma once

#include <string>

namespace pocketune::report {

// Range of an axis and the distance of its ticks (1, 2 or 5 times a power of ten).
struct Axis {
  double low = 0.0;
  double high = 1.0;
  double step = 1.0;
  std::string (*format)(double) = nullptr;
};

// The axis that covers [low, high] (finite) with about `ticks` ticks; ends at ticks where
// `whole_ticks`.
Axis NiceAxis(double low, double high, int ticks, bool whole_ticks, std::string (*format)(double));

// Shapes are drawn in a square of kPlotSize units, y down; strokes keep their width in pixels.
inline constexpr double kPlotSize = 1000;

class Plot {
 public:
  Plot(const Axis& x, const Axis& y) : x_(x), y_(y) {}

  double X(double value) const;
  double Y(double value) const;

  // SVG elements, drawn in the order of adding.
  void Add(const std::string& svg) { shapes_ += svg; }
  // A round mark at a point of the plot, with a tooltip (escaped).
  void AddDot(double x, double y, const std::string& css_class, const std::string& tooltip);

  // `label` says what is seen, for those who cannot see it (escaped); `x_title` is under the axis.
  std::string Html(const std::string& css_class, const std::string& label,
                   const std::string& x_title) const;

 private:
  Axis x_;
  Axis y_;
  std::string shapes_;
};

// A coordinate as short text.
std::string Coord(double units);

}  // namespace pocketune::report
