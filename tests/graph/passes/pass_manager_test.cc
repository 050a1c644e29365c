#include "graph/passes/pass_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "graph/ir/text.h"
#include "tests/support/temp_folder.h"

namespace pocketune {
namespace {

using ::testing::HasSubstr;

constexpr const char* kText = R"(pocketune-ir 1
graph "g" stage=forward {
  %0: f32[3] input "x"
  %1: f32[3] = relu(%0) fwd
  %2: f32[3] = exp(%0) fwd
  return %1 "y"
}
)";

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(PassManagerTest, RecordsWhatEachPassDid) {
  Graph graph = *Parse(kText);
  PassContext context;
  ASSERT_TRUE(RunPasses(graph, context, {"cse", "dce"}).ok());
  ASSERT_EQ(context.records.size(), 2u);
  EXPECT_EQ(context.records[0].pass, "cse");
  EXPECT_EQ(context.records[0].nodes_after, 2);
  EXPECT_EQ(context.records[1].pass, "dce");
  EXPECT_EQ(context.records[1].nodes_before, 2);
  EXPECT_EQ(context.records[1].nodes_after, 1);
}

TEST(PassManagerTest, SkipsDisabledPasses) {
  Graph graph = *Parse(kText);
  PassContext context;
  context.disabled = {"dce"};
  ASSERT_TRUE(RunPasses(graph, context, {"cse", "dce"}).ok());
  EXPECT_EQ(context.records.size(), 1u);
  EXPECT_EQ(graph.nodes.size(), 2u);
}

TEST(PassManagerTest, UnknownNamesAreErrors) {
  Graph graph = *Parse(kText);
  PassContext context;
  EXPECT_EQ(Message(RunPasses(graph, context, {"dec"})), "passes: there is none called \"dec\"");
  context.disabled = {"ced"};
  EXPECT_EQ(Message(RunPasses(graph, context, {"dce"})), "passes: there is none called \"ced\"");
}

TEST(PassManagerTest, VerifiesTheGraphAfterEachPass) {
  Graph graph = *Parse(kText);
  graph.value(1).type.shape = {5};
  PassContext context;
  const absl::Status status = RunPasses(graph, context, {"dce"});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(Message(status), HasSubstr("pass dce broke the graph: verify: node 0 (relu)"));
}

TEST(PassManagerTest, ForwardPassesRefuseATrainingGraph) {
  Graph graph = *Parse(kText);
  graph.stage = Stage::kTraining;
  PassContext context;
  for (const char* pass : {"fold_batchnorm", "use_batch_statistics"}) {
    EXPECT_EQ(RunPasses(graph, context, {pass}).code(), absl::StatusCode::kFailedPrecondition);
  }
}

TEST(PassManagerTest, SharedStatisticsCannotLearn) {
  Graph graph = *Parse(R"(pocketune-ir 1
graph "g" stage=forward {
  %0: f32[2,3] input "x"
  %1: f32[3] param "p" norm_mean stem
  %2: f32[2,3] = batch_norm_frozen(%0, %1, %1, %1, %1) fwd loc "bn"
  return %2 "y"
}
)");
  PassContext context;
  EXPECT_EQ(Message(RunPasses(graph, context, {"use_batch_statistics"})),
            "bn: batch_norm_frozen: its statistics are no parameters of its own (value \"p\")");
}

TEST(PassManagerTest, DumpsTheGraphWhereAPassChangedIt) {
  const test::TempFolder temporary;
  const std::filesystem::path folder = temporary.path();
  ASSERT_EQ(setenv("POCKETUNE_DUMP_IR", folder.c_str(), 1), 0);
  Graph graph = *Parse(kText);
  PassContext context;
  const absl::Status status = RunPasses(graph, context, {"cse", "dce"});
  std::filesystem::path missing = folder / "missing";
  ASSERT_EQ(setenv("POCKETUNE_DUMP_IR", missing.c_str(), 1), 0);
  Graph again = *Parse(kText);
  const absl::Status unwritable = RunPasses(again, context, {"dce"});
  unsetenv("POCKETUNE_DUMP_IR");

  ASSERT_TRUE(status.ok()) << status;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.push_back(entry.path().filename());
  }
  EXPECT_EQ(files, std::vector<std::string>{"02_dce.ptir"});
  std::ifstream file(folder / "02_dce.ptir");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text, Print(graph));
  EXPECT_EQ(unwritable.code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace pocketune
