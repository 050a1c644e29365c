// How compile time grows with depth: stacks an inverted residual block and compiles the stack at 1,
// 10 and 100 times the depth, with everything learning and with biases alone, for one small picture
// and for a batch whose tensors are larger than the caches, so that loops over its parts form.
//
//   bench_compile [BLOCKS [RUNS]]    depth at 1x (default 4), compilations of each (default 3)
//
// Prints the fastest run of each, and where its time went.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "frontends/initialize.h"
#include "frontends/zoo/net_builder.h"
#include "graph/ir/model.h"
#include "pocketune/compiler.h"

namespace pocketune {
namespace {

constexpr int kChannels = 16;
constexpr int kExpand = 6;

Tensor Block(NetBuilder& net, Tensor input, const std::string& name) {
  Tensor x = net.Conv(input, {.name = name + ".expand",
                              .norm = name + ".expand_bn",
                              .out = kChannels * kExpand,
                              .act = Activation::kRelu6});
  x = net.Depthwise(x, {.name = name + ".depthwise",
                        .norm = name + ".depthwise_bn",
                        .kernel = {3, 3},
                        .act = Activation::kRelu6});
  x = net.Conv(x, {.name = name + ".project", .norm = name + ".project_bn", .out = kChannels});
  return net.Add(input, x);
}

struct Pictures {
  int batch;
  int resolution;
};

Model StackOf(int blocks, const Pictures& pictures) {
  Model::Impl impl;
  impl.name = "stack";
  impl.batch = pictures.batch;
  const ModelSpec spec = {.name = impl.name, .classes = 10, .batch = pictures.batch};
  NetBuilder net(spec, 1e-5);
  Tensor x = net.Image(pictures.resolution, pictures.resolution, kChannels);
  for (int i = 0; i < blocks; ++i) {
    net.NextBlock();
    x = Block(net, x, "blocks." + std::to_string(i));
  }
  absl::StatusOr<Graph> graph = net.Finish(net.Classifier(net.GlobalAveragePool(x), "classifier"));
  if (!graph.ok()) {
    std::fprintf(stderr, "%s\n", std::string(graph.status().message()).c_str());
    std::exit(1);
  }
  impl.forward = *std::move(graph);
  InitializeParams(impl.forward, 1);
  return Model::Impl::Wrap(std::move(impl));
}

Plan Fastest(const Model& model, const TrainSpec& spec, int runs) {
  Plan best;
  for (int run = 0; run < runs; ++run) {
    Outcome<Plan> plan = Compile(model, spec, {});
    if (!plan.ok()) {
      std::fprintf(stderr, "%s\n", plan.message().c_str());
      std::exit(1);
    }
    if (run == 0 || plan->figures.compile_ms < best.figures.compile_ms) {
      best = std::move(plan.value());
    }
  }
  return best;
}

// The passes that took most, both schedules together, and all else: differentiating, verifying,
// writing.
void PrintPasses(const Plan& plan) {
  std::map<std::string, double> by_pass;
  double rest = plan.figures.compile_ms;
  for (const PassTime& pass : plan.passes) {
    by_pass[pass.pass] += pass.ms;
    rest -= pass.ms;
  }
  by_pass["between passes"] = rest;
  std::vector<std::pair<double, std::string>> rows;
  for (const auto& [pass, ms] : by_pass) rows.push_back({ms, pass});
  std::sort(rows.rbegin(), rows.rend());
  for (size_t i = 0; i < std::min<size_t>(rows.size(), 6); ++i) {
    std::printf("%s%s %.1f", i == 0 ? "         " : ", ", rows[i].second.c_str(), rows[i].first);
  }
  std::printf("\n");
}

void RunSeries(const char* scheme, const Pictures& pictures, int blocks, int runs) {
  std::printf("scheme %s, batch %d at %dx%d\n%8s %8s %10s %16s %18s\n", scheme, pictures.batch,
              pictures.resolution, pictures.resolution, "blocks", "nodes", "ms", "us/(n log2 n)",
              "arena/lower bound");
  for (const int times : {1, 10, 100}) {
    const Model model = StackOf(blocks * times, pictures);
    const Plan plan = Fastest(model, {.scheme = scheme}, runs);
    const double n = plan.figures.steps;
    std::printf("%8d %8d %10.1f %16.3f %18.4f\n", blocks * times, plan.figures.steps,
                plan.figures.compile_ms, plan.figures.compile_ms * 1e3 / (n * std::log2(n)),
                static_cast<double>(plan.figures.arena_bytes) /
                    static_cast<double>(plan.figures.arena_lower_bound));
    PrintPasses(plan);
  }
}

void Run(int blocks, int runs) {
  for (const Pictures& pictures : {Pictures{1, 8}, Pictures{8, 112}}) {
    for (const char* scheme : {"full", "bias"}) RunSeries(scheme, pictures, blocks, runs);
  }
}

}  // namespace
}  // namespace pocketune

int main(int argc, char** argv) {
  const int blocks = argc > 1 ? std::atoi(argv[1]) : 4;
  const int runs = argc > 2 ? std::atoi(argv[2]) : 3;
  if (blocks < 1 || runs < 1) {
    std::fprintf(stderr, "bench_compile [BLOCKS [RUNS]]: want numbers above 0\n");
    return 2;
  }
  pocketune::Run(blocks, runs);
}
