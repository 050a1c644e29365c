// Which biases and weights should learn under a budget, given what each is worth and costs: the
// scheme search of MCUNetV3 (Lin et al., "On-Device Training Under 256KB Memory", NeurIPS 2022,
// section 2.2). Gains, bytes and times of the choices add up.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace pocketune {

// What a choice is worth and costs. Gains in any unit, bytes >= 0, ms >= 0.
struct ChoiceValue {
  double gain = 0.0;
  int64_t bytes = 0;
  double ms = 0.0;
};

struct SelectionProblem {
  // [k]: the biases of the last k layers learn; one more than there are layers.
  std::vector<ChoiceValue> biases;
  // Per layer, the first one first: alternatives for its weight (how many channels learn), of which
  // at most one is taken, and only where the layer's bias learns.
  std::vector<std::vector<ChoiceValue>> weights;
  int64_t max_bytes = 0;
  double max_ms = std::numeric_limits<double>::infinity();
};

struct Selection {
  bool feasible = false;
  int biases = 0;            // of the last so many layers
  std::vector<int> weights;  // per layer: index of the alternative, -1: none
  ChoiceValue total;
};

// The feasible selection of the largest gain; among equals one of the fewest bytes. A
// multiple-choice knapsack with a nested bias choice, solved by keeping, from the last layer to the
// first, every partial selection that no other beats in gain, bytes and time. Not feasible only
// where not even biases[0] fits.
Selection SelectExactly(const SelectionProblem& problem);

struct EvolutionOptions {
  uint64_t seed = 1;
  int population = 64;
  int generations = 80;
};

// The paper's way: mutation and crossover of a population, of which the fittest survive. Feasible
// wherever SelectExactly is, and never of a larger gain. A function of its arguments alone.
Selection SelectByEvolution(const SelectionProblem& problem, const EvolutionOptions& options);

}  // namespace pocketune
