#include "graph/ir/loop_laws.h"

#include <gtest/gtest.h>

#include <string>

#include "graph/ir/text.h"
#include "graph/ir/verifier.h"

namespace pocketune {
namespace {

std::string VerifyText(const std::string& body) {
  const absl::StatusOr<Graph> graph = Parse(
      "pocketune-ir 1\ngraph \"g\" stage=scheduled {\n%0: f32[4,3] input \"x\"\n" + body + "}\n");
  if (!graph.ok()) return std::string(graph.status().message());
  EXPECT_EQ(Print(*Parse(Print(*graph))), Print(*graph));
  const absl::Status status = Verify(*graph);
  return status.ok() ? "ok" : std::string(status.message());
}

TEST(LoopLawsTest, AcceptsAChainThatExistsInParts) {
  EXPECT_EQ(VerifyText("%1: f32[4,3] part 2 = tanh(%0) fwd\n%2: f32[4,3] = relu(%1) fwd\n"
                       "loop 0 1 part 2\nreturn %2 \"y\""),
            "ok");
}

TEST(LoopLawsTest, RejectsLoopsOutOfPlace) {
  const std::string nodes = "%1: f32[4,3] = tanh(%0) fwd\n%2: f32[4,3] = relu(%1) fwd\n";
  EXPECT_EQ(VerifyText(nodes + "loop 1 2 part 2\n"), "verify: loop 1 2: is out of place");
  EXPECT_EQ(VerifyText(nodes + "loop 0 1 part 2\nloop 1 1 part 2\n"),
            "verify: loop 1 1: is out of place");
}

TEST(LoopLawsTest, RejectsWhatCannotRunOnAPart) {
  EXPECT_EQ(VerifyText("%1: f32[4,3] = tanh(%0) fwd\nloop 0 0 part 3\n"),
            "verify: node 0 (tanh): cannot run on a part of the batch");
  EXPECT_EQ(VerifyText("%1: f32[3] = reduce_mean(%0) {axes=1} fwd\nloop 0 0 part 2\n"),
            "verify: node 0 (reduce_mean): cannot run on a part of the batch");
}

TEST(LoopLawsTest, RejectsPartsThatLeaveTheirLoop) {
  EXPECT_EQ(VerifyText("%1: f32[4,3] part 2 = tanh(%0) fwd\n%2: f32[4,3] = relu(%1) fwd\n"
                       "loop 0 0 part 2\n"),
            "verify: node 1 (relu): reads a part of the batch from outside");
  EXPECT_EQ(VerifyText("%1: f32[4,3] part 2 = tanh(%0) fwd\nloop 0 0 part 2\nreturn %1 \"y\""),
            "verify: y: the output is one part of the batch");
  EXPECT_EQ(
      VerifyText("%1: f32[4,3] part 2 = tanh(%0) fwd\n"),
      "verify: node 0 (tanh): its result is one part of the batch, but it does not run in such "
      "parts");
}

TEST(LoopLawsTest, RejectsReadersOfWhatIsNotFinished) {
  EXPECT_EQ(VerifyText("%1: f32[3] = reduce_sum(%0) {axes=1} fwd\n%2: f32[4,3] = add(%0, %1) fwd\n"
                       "loop 0 1 part 2\n"),
            "verify: node 1 (add): reads what the loop has not finished");
}

TEST(LoopLawsTest, RejectsWritingOverWhatLaterPartsNeed) {
  EXPECT_EQ(VerifyText("%1: f32[4,3] = tanh(%0) fwd\n%2: f32[4,3] = relu(%1) fwd in_place\n"
                       "loop 1 1 part 2\n"),
            "verify: node 1 (relu): overwrites what later parts of the batch need");
}

}  // namespace
}  // namespace pocketune
