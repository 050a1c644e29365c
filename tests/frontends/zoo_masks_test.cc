// What bit masks in place of saved activations do to the arena of each model of the zoo.
#include <gtest/gtest.h>

#include <string>

#include "autodiff/autodiff.h"
#include "autodiff/loss.h"
#include "autodiff/optimizers.h"
#include "backends/cpu/cpu_kernels.h"
#include "frontends/initialize.h"
#include "frontends/zoo/zoo.h"
#include "graph/passes/pass_manager.h"
#include "sparse_bp/scheme.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_name.h"

namespace pocketune {
namespace {

// The training schedule for one sample with places in the arena.
int64_t ArenaBytes(const ZooEntry& entry, const char* scheme, bool masks) {
  absl::StatusOr<Graph> graph = BuildModel({.name = entry.name, .batch = 1});
  EXPECT_TRUE(graph.ok()) << graph.status();
  InitializeParams(*graph, 1);
  PassContext context;
  context.kernels = CpuKernels();
  if (!masks) context.disabled = {"save_masks"};
  EXPECT_TRUE(ApplyScheme(*graph, *ParseScheme(scheme)).ok());
  if (UsesBatchStatistics(*ParseScheme(scheme))) {
    EXPECT_TRUE(RunPasses(*graph, context, {"use_batch_statistics"}).ok());
  }
  EXPECT_TRUE(OptimizeForward(*graph, context).ok());
  const ValueId logits = graph->FindOutput("logits");
  const absl::StatusOr<ValueId> loss = entry.task == Task::kReconstruction
                                           ? AttachSquaredLoss(*graph, logits)
                                           : AttachClassificationLoss(*graph, logits, 0.0);
  EXPECT_TRUE(loss.ok()) << loss.status();
  const auto grads = BuildBackward(*graph, *loss, LearningParams(*graph));
  EXPECT_TRUE(grads.ok()) << grads.status();
  EXPECT_TRUE(AppendUpdates(*graph, *grads, {}).ok());
  const absl::Status status = PlanGraph(*graph, context);
  EXPECT_TRUE(status.ok()) << status;
  return graph->arena_bytes;
}

class ZooMasksTest : public testing::TestWithParam<const char*> {};

TEST_P(ZooMasksTest, NeverGrowTheArenaOfAModel) {
  for (const ZooEntry& entry : Zoo()) {
#ifdef PT_SANITIZED
    if (entry.height * entry.width > 32 * 32) continue;  // for the sake of time
#endif
    EXPECT_LE(ArenaBytes(entry, GetParam(), true), ArenaBytes(entry, GetParam(), false))
        << entry.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Schemes, ZooMasksTest, testing::Values("full", "bias", "bias:2"),
                         [](const auto& info) { return test::TestName(info.param); });

}  // namespace
}  // namespace pocketune
