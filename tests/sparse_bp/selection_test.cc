#include "sparse_bp/selection.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/base/rng.h"

namespace pocketune {
namespace {

// Random gains, some below zero, and costs; budgets from too little to enough for all.
class RandomProblem {
 public:
  explicit RandomProblem(uint64_t seed) : random_(seed, "problem") {}

  SelectionProblem Make(int layers, int choices, bool timed) {
    SelectionProblem p;
    int64_t bytes = 0;
    double ms = 0;
    for (int k = 0; k <= layers; ++k) {
      p.biases.push_back({k == 0 ? 0 : Real() - 0.2, bytes, ms});
      bytes += Below(20);
      ms += Below(4);
    }
    for (int layer = 0; layer < layers; ++layer) {
      p.weights.emplace_back();
      for (int c = 0; c < choices; ++c) {
        p.weights.back().push_back({Real() - 0.3, 1 + Below(40), double(Below(8))});
        bytes += p.weights.back().back().bytes;
      }
    }
    p.max_bytes = Below(static_cast<int>(bytes));
    if (timed) p.max_ms = Below(layers * 6);
    return p;
  }

 private:
  double Real() { return random_.Uniform(drawn_++); }
  int64_t Below(int n) { return random_.Below(drawn_++, static_cast<uint32_t>(std::max(1, n))); }

  RandomStream random_;
  uint64_t drawn_ = 0;
};

ChoiceValue TotalOf(const SelectionProblem& p, const Selection& s) {
  ChoiceValue total = p.biases[s.biases];
  for (size_t layer = 0; layer < s.weights.size(); ++layer) {
    if (s.weights[layer] < 0) continue;
    const ChoiceValue& choice = p.weights[layer][s.weights[layer]];
    total = {total.gain + choice.gain, total.bytes + choice.bytes, total.ms + choice.ms};
  }
  return total;
}

bool Fits(const SelectionProblem& p, const ChoiceValue& v) {
  return v.bytes <= p.max_bytes && v.ms <= p.max_ms;
}

// The best of all selections; NaN where none fits.
double BestGain(const SelectionProblem& p, Selection& s, size_t layer) {
  if (layer == p.weights.size()) {
    const ChoiceValue total = TotalOf(p, s);
    return Fits(p, total) ? total.gain : std::nan("");
  }
  const bool learns = static_cast<int>(layer) >= static_cast<int>(p.weights.size()) - s.biases;
  double best = std::nan("");
  const int choices = learns ? static_cast<int>(p.weights[layer].size()) : 0;
  for (int c = -1; c < choices; ++c) {
    s.weights[layer] = c;
    best = std::fmax(best, BestGain(p, s, layer + 1));
  }
  return best;
}

double BruteForce(const SelectionProblem& p) {
  double best = std::nan("");
  for (size_t k = 0; k < p.biases.size(); ++k) {
    Selection s;
    s.biases = static_cast<int>(k);
    s.weights.assign(p.weights.size(), -1);
    best = std::fmax(best, BestGain(p, s, 0));
  }
  return best;
}

void ExpectSound(const SelectionProblem& p, const Selection& s) {
  const ChoiceValue total = TotalOf(p, s);
  EXPECT_TRUE(Fits(p, total));
  EXPECT_NEAR(s.total.gain, total.gain, 1e-9);
  EXPECT_EQ(s.total.bytes, total.bytes);
  for (size_t layer = 0; layer + s.biases < p.weights.size(); ++layer) {
    EXPECT_EQ(s.weights[layer], -1) << "a weight learns where its bias does not";
  }
}

TEST(SelectionTest, FindsTheBestOfAllSelections) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    const SelectionProblem p = RandomProblem(seed).Make(5, 3, seed % 2 == 1);
    const double best = BruteForce(p);
    const Selection exact = SelectExactly(p);
    ASSERT_EQ(exact.feasible, !std::isnan(best));
    if (!exact.feasible) continue;
    ExpectSound(p, exact);
    EXPECT_NEAR(exact.total.gain, best, 1e-9);
  }
}

TEST(SelectionTest, EvolutionIsSoundAndNeverBetter) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const SelectionProblem p = RandomProblem(seed).Make(30, 4, seed % 2 == 1);
    const Selection exact = SelectExactly(p);
    const Selection evolved = SelectByEvolution(p, {.seed = seed});
    ASSERT_EQ(evolved.feasible, exact.feasible);
    if (!exact.feasible) continue;
    ExpectSound(p, exact);
    ExpectSound(p, evolved);
    EXPECT_LE(evolved.total.gain, exact.total.gain + 1e-9);
  }
}

TEST(SelectionTest, EvolutionDependsOnItsSeedAlone) {
  const SelectionProblem p = RandomProblem(7).Make(40, 4, false);
  const Selection a = SelectByEvolution(p, {.seed = 3});
  const Selection b = SelectByEvolution(p, {.seed = 3});
  EXPECT_EQ(a.biases, b.biases);
  EXPECT_EQ(a.weights, b.weights);
}

TEST(SelectionTest, TakesTheCheaperOfEqualGains) {
  const SelectionProblem p = {
      .biases = {{0, 0, 0}, {0, 5, 0}}, .weights = {{{0.0, 1, 0}}}, .max_bytes = 100};
  const Selection s = SelectExactly(p);
  EXPECT_EQ(s.biases, 0);
  EXPECT_EQ(s.total.bytes, 0);
}

TEST(SelectionTest, IsInfeasibleWhereNotEvenTheHeadFits) {
  const SelectionProblem p = {.biases = {{0, 10, 0}}, .weights = {}, .max_bytes = 9};
  EXPECT_FALSE(SelectExactly(p).feasible);
  EXPECT_FALSE(SelectByEvolution(p, {}).feasible);
}

TEST(SelectionTest, SolvesAModelSizedProblemWithBothBudgets) {
  SelectionProblem p = RandomProblem(11).Make(60, 4, true);
  p.max_bytes = 400;
  p.max_ms = 60;
  const Selection s = SelectExactly(p);
  ASSERT_TRUE(s.feasible);
  ExpectSound(p, s);
}

}  // namespace
}  // namespace pocketune
