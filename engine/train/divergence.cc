#include "engine/train/divergence.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace pocketune {
namespace {

// One that always gives the same answer has exactly 1; a little luck is on top of that.
constexpr double kLuck = 1.2;

std::string Tell(const char* format, double loss, double start) {
  char text[160];
  std::snprintf(text, sizeof(text), format, loss, start);
  return text;
}

}  // namespace

double StartLoss(double first, int64_t classes) {
  return classes > 1 ? std::max(first, std::log(static_cast<double>(classes))) : first;
}

bool IsAtChance(const Evaluation& eval) {
  if (eval.samples == 0 || !eval.classifies()) return false;
  const auto has_samples = [](const std::vector<int64_t>& row) {
    return std::any_of(row.begin(), row.end(), [](int64_t count) { return count > 0; });
  };
  const int64_t classes = std::count_if(eval.confusion.begin(), eval.confusion.end(), has_samples);
  return classes > 1 && eval.balanced_accuracy() * static_cast<double>(classes) <= kLuck;
}

std::string DivergenceOf(const EpochLosses& losses, const Evaluation& eval) {
  const double start = StartLoss(losses.first, losses.classes);
  if (!(start > 0)) return {};
  if (losses.mean > kGrownLoss * start && losses.last > kGrownLoss * start) {
    return Tell("the training loss has grown to %.4g where %.3g is that of knowing nothing",
                losses.mean, start);
  }
  if (losses.mean > kUselessLoss * start && IsAtChance(eval)) {
    return Tell(
        "the training loss has grown to %.4g where %.3g is that of knowing nothing, and validation "
        "is no better than chance",
        losses.mean, start);
  }
  return {};
}

}  // namespace pocketune
