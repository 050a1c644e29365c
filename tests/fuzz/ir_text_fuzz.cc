// The text form of a graph: what parses prints to what parses to the same print.
#include "graph/ir/text.h"
#include "graph/ir/verifier.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/random_graph.h"

namespace pocketune::fuzz {
namespace {

constexpr const char* kPlanned = R"(pocketune-ir 1
graph "two\nlines" stage=planned arena=4096 {
  %0: f32[2,5,5,3] input "image" @0+600
  %1: f32[7,3,3,3] param "a \"b\" \\ ü" weight block 3 train
  %2: f32[7] const "c"
  %3: f32[2,5,5,7] "hint" @640+1400 = conv2d(%0, %1, %2) {act=relu6, pad=[1,1,1,1]} fwd kernel "cpu.conv2d" scratch @2048+64
  %4: f32[2,5,5,7] @640+1400 = clamp(%3) {hi=inf, lo=-0.1} fwd in_place kernel "cpu.clamp"
  %5: f32[50,7] @640+1400 = reshape(%4) {shape=[50,7]} fwd
  %6: f32[7,50] @2048+1400 = transpose(%5) {perm=[1,0]} bwd kernel "cpu.transpose"
  return %6 "out"
}
)";

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds = {kPlanned};
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const Graph graph = test::RandomGraph(seed).Take();
    seeds.push_back(Print(graph, {.locs = true, .checksums = seed % 2 == 0}));
  }
  return seeds;
}

}  // namespace pocketune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketune;
  using namespace pocketune::fuzz;
  const absl::StatusOr<Graph> graph = Parse(View(data, size));
  RequireGoodError(graph.status());
  if (!graph.ok()) return 0;
  const std::string text = Print(*graph, {.locs = true});
  const absl::StatusOr<Graph> again = Parse(text);
  Require(again.ok() && Print(*again, {.locs = true}) == text, "what is printed parses alike");
  RequireGoodError(Verify(*graph));
  Accept();
  return 0;
}
