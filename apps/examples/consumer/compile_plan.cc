// Compiles a plan that fine-tunes the last blocks of a small model: compile_plan FILE
#include <cstdio>

#include "pocketune/compiler.h"
#include "pocketune/zoo.h"

using pocketune::Compile;
using pocketune::Outcome;
using pocketune::Plan;
using pocketune::ZooModel;

template <typename T>
int Fail(const Outcome<T>& outcome) {
  std::fprintf(stderr, "compile_plan: %s\n", outcome.message().c_str());
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: compile_plan FILE\n");
    return 2;
  }
  const pocketune::ModelSpec spec{.name = "ds-cnn", .classes = 5, .batch = 4};
  const Outcome<ZooModel> model = BuildZooModel(spec, /*weights=*/"", /*seed=*/7, nullptr);
  if (!model.ok()) return Fail(model);

  const Outcome<Plan> plan = Compile(model->model, {.scheme = "blocks:2"}, {.threads = 2});
  if (!plan.ok()) return Fail(plan);
  const Outcome<bool> written = plan.value().Write(argv[1]);
  if (!written.ok()) return Fail(written);

  const pocketune::PlanFigures& figures = plan.value().figures;
  std::printf("%d steps, %lld of %lld parameters learn, arena %lld bytes, peak %lld bytes\n",
              figures.steps, static_cast<long long>(figures.trainable_params),
              static_cast<long long>(figures.params), static_cast<long long>(figures.arena_bytes),
              static_cast<long long>(figures.predicted_peak_bytes));
  return 0;
}
