#include "pocketune/evaluation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pocketune {
namespace {

// Of the samples of one class: right ones, all of them, and how many were taken for it.
struct ClassCounts {
  int64_t right = 0;
  int64_t samples = 0;
  int64_t answers = 0;
};

// Of each class that has samples.
std::vector<ClassCounts> CountsOf(const std::vector<std::vector<int64_t>>& confusion) {
  std::vector<ClassCounts> counts(confusion.size());
  for (size_t i = 0; i < confusion.size(); ++i) {
    counts[i].right = confusion[i][i];
    for (size_t j = 0; j < confusion.size(); ++j) {
      counts[i].samples += confusion[i][j];
      counts[i].answers += confusion[j][i];
    }
  }
  std::erase_if(counts, [](const ClassCounts& c) { return c.samples == 0; });
  return counts;
}

template <typename Score>
double MeanOf(const std::vector<ClassCounts>& counts, const Score& score) {
  double sum = 0;
  for (const ClassCounts& c : counts) sum += score(c);
  return counts.empty() ? 0 : sum / static_cast<double>(counts.size());
}

}  // namespace

double Evaluation::balanced_accuracy() const {
  return MeanOf(CountsOf(confusion),
                [](const ClassCounts& c) { return double(c.right) / double(c.samples); });
}

double Evaluation::macro_f1() const {
  return MeanOf(CountsOf(confusion), [](const ClassCounts& c) {
    return 2 * double(c.right) / double(c.samples + c.answers);
  });
}

bool AllFinite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

std::vector<int> TopClasses(std::span<const float> logits, int k) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  k = std::min<int>(k, static_cast<int>(order.size()));
  std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int a, int b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  });
  order.resize(k);
  return order;
}

std::vector<double> Probabilities(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p(logits.size());
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp(logits[i] - top);
  for (double& value : p) value /= sum;
  return p;
}

}  // namespace pocketune
