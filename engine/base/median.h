// Of repeated measurements: what one disturbance does not move.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace pocketune {

// Of an even number the upper one of the two in the middle; 0 for no values.
inline double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Median distance from the median; 0 for no values.
inline double MedianDeviation(const std::vector<double>& values) {
  const double median = Median(values);
  std::vector<double> deviations;
  for (double value : values) deviations.push_back(std::abs(value - median));
  return Median(deviations);
}

}  // namespace pocketune
