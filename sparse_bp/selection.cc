#include "sparse_bp/selection.h"

#include <algorithm>
#include <map>

#include "engine/base/rng.h"

namespace pocketune {
namespace {

ChoiceValue Sum(const ChoiceValue& a, const ChoiceValue& b) {
  return {a.gain + b.gain, a.bytes + b.bytes, a.ms + b.ms};
}

bool Fits(const SelectionProblem& problem, const ChoiceValue& value) {
  return value.bytes <= problem.max_bytes && value.ms <= problem.max_ms;
}

// More gain, or the same for less.
bool IsBetter(const ChoiceValue& a, const ChoiceValue& b) {
  return a.gain > b.gain || (a.gain == b.gain && a.bytes < b.bytes);
}

class ExactSelector {
 public:
  explicit ExactSelector(const SelectionProblem& problem)
      : p_(problem), layers_(static_cast<int>(problem.weights.size())), bounds_(GainBounds()) {}

  Selection Run() {
    states_.push_back({});
    std::vector<int> front = {0};
    TakeBest(0, front);
    for (int k = 1; k <= layers_; ++k) {
      front = Extend(k, front);
      TakeBest(k, front);
    }
    return Result();
  }

 private:
  // A partial selection: weights of the last layers.
  struct State {
    ChoiceValue value;
    int parent = -1;
    int layer = -1, choice = -1;  // what it adds to its parent
  };

  // [k]: the largest gain that biases and the weights of layers not among the last k can add.
  std::vector<double> GainBounds() const {
    std::vector<double> bounds(layers_ + 1, p_.biases[layers_].gain);
    for (int k = layers_ - 1; k >= 0; --k) {
      double best = 0;
      for (const ChoiceValue& choice : p_.weights[layers_ - 1 - k]) {
        best = std::max(best, choice.gain);
      }
      bounds[k] = std::max(p_.biases[k].gain, best + bounds[k + 1]);
    }
    return bounds;
  }

  // All ways to go on from `front` with the weight of layer layers_ - k, without those that another
  // beats or that cannot become the best.
  std::vector<int> Extend(int k, const std::vector<int>& front) {
    const int layer = layers_ - k;
    std::vector<State> states;
    for (const int s : front) {
      states.push_back({states_[s].value, s, -1, -1});
      for (size_t c = 0; c < p_.weights[layer].size(); ++c) {
        const ChoiceValue& choice = p_.weights[layer][c];
        const ChoiceValue value = Sum(states_[s].value, choice);
        if (choice.gain > 0 && Fits(p_, value)) {
          states.push_back({value, s, layer, static_cast<int>(c)});
        }
      }
    }
    std::stable_sort(states.begin(), states.end(), [](const State& a, const State& b) {
      if (a.value.bytes != b.value.bytes) return a.value.bytes < b.value.bytes;
      if (a.value.ms != b.value.ms) return a.value.ms < b.value.ms;
      return a.value.gain > b.value.gain;
    });
    std::vector<int> kept;
    std::map<double, double> best_gain;  // by ms, of the states of no more bytes; both rising
    for (const State& state : states) {
      if (found_ && state.value.gain + bounds_[k] <= best_.gain) continue;
      if (Beaten(best_gain, state.value)) continue;
      if (state.choice < 0) {
        kept.push_back(state.parent);
      } else {
        kept.push_back(static_cast<int>(states_.size()));
        states_.push_back(state);
      }
    }
    return kept;
  }

  // Has a state before this one, of no more time, no less gain? If not, it joins them.
  bool Beaten(std::map<double, double>& best_gain, const ChoiceValue& value) const {
    const double ms = p_.max_ms < std::numeric_limits<double>::infinity() ? value.ms : 0;
    auto after = best_gain.upper_bound(ms);
    if (after != best_gain.begin() && std::prev(after)->second >= value.gain) return true;
    while (after != best_gain.end() && after->second <= value.gain) after = best_gain.erase(after);
    best_gain[ms] = value.gain;
    return false;
  }

  void TakeBest(int k, const std::vector<int>& front) {
    for (const int s : front) {
      const ChoiceValue value = Sum(states_[s].value, p_.biases[k]);
      if (!Fits(p_, value) || (found_ && !IsBetter(value, best_))) continue;
      found_ = true;
      best_ = value;
      best_biases_ = k;
      best_state_ = s;
    }
  }

  Selection Result() const {
    Selection result;
    result.feasible = found_;
    result.weights.assign(layers_, -1);
    if (!found_) return result;
    result.biases = best_biases_;
    result.total = best_;
    for (int s = best_state_; s >= 0; s = states_[s].parent) {
      if (states_[s].layer >= 0) result.weights[states_[s].layer] = states_[s].choice;
    }
    return result;
  }

  const SelectionProblem& p_;
  const int layers_;
  const std::vector<double> bounds_;
  std::vector<State> states_;
  bool found_ = false;
  ChoiceValue best_;
  int best_biases_ = 0;
  int best_state_ = -1;
};

class Evolution {
 public:
  Evolution(const SelectionProblem& problem, const EvolutionOptions& options)
      : p_(problem),
        options_(options),
        random_(options.seed, "selection"),
        layers_(static_cast<int>(problem.weights.size())) {}

  Selection Run() {
    std::vector<Selection> population;
    for (int i = 0; i < options_.population; ++i) {
      Selection start;
      start.weights.assign(layers_, -1);
      if (i > 0) {  // the first is the cheapest there is
        start.biases = Below(layers_ + 1);
        for (int layer = 0; layer < layers_; ++layer) Redraw(start, layer);
      }
      population.push_back(Repair(std::move(start)));
    }
    for (int g = 0; g < options_.generations; ++g) NextGeneration(population);
    return population.front();
  }

 private:
  int Below(int n) { return static_cast<int>(random_.Below(drawn_++, static_cast<uint32_t>(n))); }

  void Redraw(Selection& s, int layer) {
    s.weights[layer] = Below(static_cast<int>(p_.weights[layer].size()) + 1) - 1;
  }

  // Drops what cannot learn, then weights at random and biases until the budget holds.
  Selection Repair(Selection s) {
    std::vector<int> chosen;
    for (int layer = 0; layer < layers_; ++layer) {
      if (layer < layers_ - s.biases) s.weights[layer] = -1;
      if (s.weights[layer] >= 0) chosen.push_back(layer);
    }
    Add(s);
    while (!s.feasible && !chosen.empty()) {
      const int at = Below(static_cast<int>(chosen.size()));
      s.weights[chosen[at]] = -1;
      chosen.erase(chosen.begin() + at);
      Add(s);
    }
    while (!s.feasible && s.biases > 0) {
      --s.biases;
      Add(s);
    }
    return s;
  }

  void Add(Selection& s) const {
    s.total = p_.biases[s.biases];
    for (int layer = 0; layer < layers_; ++layer) {
      if (s.weights[layer] >= 0) s.total = Sum(s.total, p_.weights[layer][s.weights[layer]]);
    }
    s.feasible = Fits(p_, s.total);
  }

  Selection Child(const Selection& a, const Selection& b) {
    Selection child = Below(2) == 0 ? a : b;
    for (int layer = 0; layer < layers_; ++layer) {
      child.weights[layer] = Below(2) == 0 ? a.weights[layer] : b.weights[layer];
      if (Below(10) == 0) Redraw(child, layer);
    }
    if (Below(4) == 0) child.biases = Below(layers_ + 1);
    return Repair(std::move(child));
  }

  void NextGeneration(std::vector<Selection>& population) {
    const int parents = static_cast<int>(population.size());
    for (int i = 0; i < parents; ++i) {
      const Selection& a = population[Below(parents)];
      const Selection& b = population[Below(parents)];
      population.push_back(Child(a, b));
    }
    std::stable_sort(population.begin(), population.end(),
                     [](const Selection& a, const Selection& b) {
                       if (a.feasible != b.feasible) return a.feasible;
                       return IsBetter(a.total, b.total);
                     });
    population.resize(parents);
  }

  const SelectionProblem& p_;
  const EvolutionOptions options_;
  const RandomStream random_;
  uint64_t drawn_ = 0;
  const int layers_;
};

}  // namespace

Selection SelectExactly(const SelectionProblem& problem) { return ExactSelector(problem).Run(); }

Selection SelectByEvolution(const SelectionProblem& problem, const EvolutionOptions& options) {
  return Evolution(problem, options).Run();
}

}  // namespace pocketune
