#include "graph/ir/verifier.h"

#include <gtest/gtest.h>

#include "graph/ir/text.h"

namespace pocketune {
namespace {

std::string VerifyText(const std::string& stage, const std::string& body) {
  const absl::StatusOr<Graph> graph =
      Parse("pocketune-ir 1\ngraph \"g\" stage=" + stage + " {\n" + body + "}\n");
  if (!graph.ok()) return std::string(graph.status().message());
  const absl::Status status = Verify(*graph);
  return status.ok() ? "ok" : std::string(status.message());
}

std::string Forward(const std::string& body) { return VerifyText("forward", body); }
std::string Training(const std::string& body) { return VerifyText("training", body); }
std::string Planned(const std::string& body) { return VerifyText("planned arena=256", body); }

// w learns by g.
constexpr const char* kParams =
    "%0: f32[3] input \"g\"\n%1: f32[3] param \"w\" weight stem train\n";

TEST(VerifierTest, AcceptsATrainingGraph) {
  EXPECT_EQ(Training(std::string(kParams) +
                     "%2: f32[3] = mul(%0, %1) fwd\n%3: f32[3] = sgd(%1, %0) upd\nreturn %2 \"y\""),
            "ok");
}

TEST(VerifierTest, RejectsAReaderBehindTheUpdate) {
  EXPECT_EQ(Training(std::string(kParams) +
                     "%2: f32[3] = sgd(%1, %0) upd\n%3: f32[3] = mul(%0, %1) fwd\n"),
            "verify: node 0 (sgd): node 1 reads \"w\" after it was overwritten");
}

TEST(VerifierTest, RejectsASecondUpdateOfAParameter) {
  EXPECT_EQ(Training(std::string(kParams) +
                     "%2: f32[3] = sgd(%1, %0) upd\n%3: f32[3] = sgd(%1, %0) upd\n"),
            "verify: node 0 (sgd): node 1 reads \"w\" after it was overwritten");
}

TEST(VerifierTest, RejectsUpdatesOfWhatDoesNotLearn) {
  EXPECT_EQ(Training("%0: f32[3] input \"g\"\n%1: f32[3] param \"w\" weight stem\n"
                     "%2: f32[3] = sgd(%1, %0) upd\n"),
            "verify: node 0 (sgd): overwrites \"w\", which is no trainable parameter");
  EXPECT_EQ(Training("%0: f32[3] input \"g\"\n%1: f32[3] = sgd(%0, %0) upd\n"),
            "verify: node 0 (sgd): overwrites \"g\", which is no trainable parameter");
}

TEST(VerifierTest, RejectsReadersOfAnUpdatesResult) {
  EXPECT_EQ(
      Training(std::string(kParams) + "%2: f32[3] = sgd(%1, %0) upd\n%3: f32[3] = relu(%2) upd\n"),
      "verify: node 0 (sgd): node 1 reads the result of an update");
  EXPECT_EQ(Training(std::string(kParams) + "%2: f32[3] = sgd(%1, %0) upd\nreturn %2 \"y\""),
            "verify: y: the output is the result of an update");
}

TEST(VerifierTest, RejectsPhasesThatReadAhead) {
  EXPECT_EQ(Training("%0: f32[3] input \"x\"\n%1: f32[3] = relu(%0) bwd\n"
                     "%2: f32[3] = relu(%1) fwd\n"),
            "verify: node 1 (relu): phase fwd reads result 0 of node 0 of phase bwd");
  EXPECT_EQ(Forward("%0: f32[3] input \"x\"\n%1: f32[3] = relu(%0) bwd\n"),
            "verify: node 0 (relu): a forward graph has a backward node");
  EXPECT_EQ(Training(std::string(kParams) + "%2: f32[3] = sgd(%1, %0) bwd\n"),
            "verify: node 0 (sgd): an update stands in phase bwd");
}

TEST(VerifierTest, RejectsNamesThatAreTaken) {
  EXPECT_EQ(Forward("%0: f32[3] input \"x\"\n%1: f32[3] input \"x\"\n"),
            "verify: x: the name is taken");
  EXPECT_EQ(Forward("%0: f32[3] input \"x\"\nreturn %0 \"y\", %0 \"y\""),
            "verify: y: another output has the same name");
}

TEST(VerifierTest, RejectsRolesAndLayoutsOfOthers) {
  EXPECT_EQ(Forward("%0: f32[3] input \"x\" loss\n"), "verify: x: an input has an output's role");
  EXPECT_EQ(Forward("%0: f32[3] input \"x\"\nreturn %0 \"y\" label"),
            "verify: y: an output has an input's role");
  EXPECT_EQ(Forward("%0: f32[3] input \"x\"\nreturn %0 \"loss\", %0 \"other\" loss"),
            "verify: other: another output is the loss");
  for (const char* param :
       {"f32[1,2,3] param \"p\" weight conv stem", "f32[1,2,3,4] param \"p\" weight depthwise stem",
        "f32[1,2,3] param \"p\" bias depthwise stem"}) {
    EXPECT_EQ(Forward(std::string("%0: ") + param + "\n"),
              "verify: p: the layout is not one of its rank and role");
  }
}

TEST(VerifierTest, NamesWhatIsUnprintableInOneLine) {
  EXPECT_EQ(Forward("%0: f32[3] input \"a\\n\\000b\"\n%1: f32[3] input \"a\\n\\000b\"\n"),
            "verify: a\\n\\000b: the name is taken");
}

TEST(VerifierTest, RejectsSlicesThatAreNotSomeOfAParameters) {
  const auto slices = [](const std::string& marks) {
    return Forward("%0: f32[5,3] param \"w\" weight stem " + marks + "\n");
  };
  EXPECT_EQ(slices("train slices 1 [0,2]"), "ok");
  for (const char* marks : {"slices 1 [0,2]", "train slices 2 [0]", "train slices -1 [0]",
                            "train slices 1 [0,1,2]", "train slices 1 [3]", "train slices 1 [-1]",
                            "train slices 1 [1,1]", "train slices 1 [2,0]"}) {
    EXPECT_EQ(slices(marks), "verify: w: the slices that learn are not some of its own") << marks;
  }
}

TEST(VerifierTest, RejectsDataOfAnotherSize) {
  Graph graph;
  graph.AddConst("c", {3}, std::make_shared<const std::vector<float>>(2));
  EXPECT_EQ(Verify(graph).message(), "verify: c: data has another size (got 2, want 3 elements)");
}

TEST(VerifierTest, RejectsShapesOutOfRange) {
  Graph graph;
  graph.AddInput("x", {{0}, DType::kF32});
  EXPECT_EQ(Verify(graph).message(), "verify: x: the shape is out of range");
}

TEST(VerifierTest, RejectsIntegerParameters) {
  EXPECT_EQ(Forward("%0: i32[3] param \"w\" weight stem\n"),
            "verify: w: is not floating-point (got i32[3])");
}

TEST(VerifierTest, RejectsWhatOnlyABrokenPassCanMake) {
  const std::string text =
      "pocketune-ir 1\ngraph \"g\" stage=forward {\n%0: f32[3] input \"x\"\n"
      "%1: f32[3] = relu(%0) fwd\n%2: f32[3] = relu(%1) fwd\nreturn %2 \"y\" }";
  const Graph good = *Parse(text);
  EXPECT_TRUE(Verify(good).ok());

  Graph graph = good;
  std::swap(graph.nodes[0], graph.nodes[1]);
  EXPECT_EQ(Verify(graph).message(),
            "verify: node 0 (relu): result 0 does not name it as its producer");
  graph = good;
  graph.nodes[0].operands[0] = 2;
  EXPECT_EQ(Verify(graph).message(),
            "verify: node 0 (relu): reads result 0 of node 1 before it is made");
  graph = good;
  graph.nodes[1].operands[0] = 3;
  EXPECT_EQ(Verify(graph).message(), "verify: node 1 (relu): operand 3 is no value");
  graph = good;
  graph.nodes.pop_back();
  EXPECT_EQ(Verify(graph).message(), "verify: value 2: its producer is no node");
  graph = good;
  graph.value(1).type.shape = {5};
  EXPECT_EQ(Verify(graph).message(),
            "verify: node 0 (relu): result 0 has another type (got f32[5], want f32[3])");
  graph = good;
  graph.nodes[1].results[0] = 7;
  EXPECT_EQ(Verify(graph).message(), "verify: node 1 (relu): result 7 is no value");
  graph = good;
  graph.nodes[1].results.clear();
  EXPECT_EQ(Verify(graph).message(), "verify: value 2: is not among its producer's results");
  graph = good;
  graph.value(0).producer = 0;
  EXPECT_EQ(Verify(graph).message(), "verify: value 0: no result, but has a producer");
  graph = good;
  graph.value(0).name.clear();
  EXPECT_EQ(Verify(graph).message(), "verify: graph: an input, parameter or constant has no name");
  graph = good;
  graph.value(0).type.shape = {int64_t{1} << 41};
  EXPECT_EQ(Verify(graph).message(),
            "verify: node 0 (relu): operand: a dimension is below 1 or the elements are too many "
            "(0)");
  graph = good;
  graph.stage = Stage::kPlanned;
  EXPECT_EQ(Verify(graph).message(), "verify: graph: not one offset per value (got 0, want 3)");
  graph = good;
  graph.nodes[1].op = OpKind::kReshape;
  graph.nodes[1].attrs = ShapeAttrs{.shape = {3}};
  EXPECT_EQ(Verify(graph).message(), "verify: node 1 (reshape): a view is not in place");
  graph = good;
  graph.outputs[0].value = kNone;
  EXPECT_EQ(Verify(graph).message(), "verify: y: the output is no value");
}

// An input and a value that may be overwritten.
constexpr const char* kSum = "%0: f32[2,3] input \"x\"\n%1: f32[2,3] = add(%0, %0) fwd\n";

TEST(VerifierTest, AcceptsInPlaceChainsThroughViews) {
  EXPECT_EQ(
      Training(std::string(kSum) +
               "%2: f32[6] = reshape(%1) {shape=[6]} fwd\n%3: f32[6] = relu(%2) fwd in_place\n"
               "%4: f32[6] = add(%3, %3) fwd in_place\nreturn %4 \"y\""),
      "ok");
}

TEST(VerifierTest, RejectsReadersOfWhatWasOverwrittenInPlace) {
  EXPECT_EQ(
      Training(std::string(kSum) +
               "%2: f32[6] = reshape(%1) {shape=[6]} fwd\n%3: f32[6] = relu(%2) fwd in_place\n"
               "%4: f32[2,3] = exp(%1) fwd\n"),
      "verify: node 3 (exp): reads result 0 of node 0 after it was overwritten in place");
  EXPECT_EQ(Training(std::string(kSum) + "%2: f32[2,3] = relu(%1) fwd in_place\nreturn %1 \"y\""),
            "verify: y: the output is overwritten in place");
}

TEST(VerifierTest, RejectsInPlaceWhereTheOpCannot) {
  EXPECT_EQ(Training("%0: f32[] = fill() fwd in_place\n"),
            "verify: node 0 (fill): the op cannot run in place");
  EXPECT_EQ(Training("%0: f32[3] input \"x\"\n%1: f32[3] = relu(%0) fwd in_place\n"),
            "verify: node 0 (relu): overwrites \"x\"");
  EXPECT_EQ(Training("%0: f32[2,3] input \"x\"\n%1: f32[6] = reshape(%0) {shape=[6]} fwd\n"
                     "%2: f32[6] = relu(%1) fwd in_place\n"),
            "verify: node 1 (relu): overwrites an input");
  EXPECT_EQ(Training("%0: f32[3] = fill() {shape=[3]} fwd\n%1: f32[2,3] input \"x\"\n"
                     "%2: f32[2,3] = add(%0, %1) fwd in_place\n"),
            "verify: node 1 (add): overwrites an operand of another type");
  EXPECT_EQ(Training(std::string(kSum) + "%2: f32[2,3] = softmax_grad(%1, %1) fwd in_place\n"),
            "verify: node 1 (softmax_grad): overwrites its operand 1");
}

TEST(VerifierTest, AcceptsAPlanThatReusesDeadBytes) {
  EXPECT_EQ(Planned("%0: f32[2,3] input \"x\" @0+24\n"
                    "%1: f32[2,3] @64+24 = exp(%0) fwd kernel \"k\" scratch @128+100\n"
                    "%2: f32[2,3] @0+24 = exp(%1) fwd kernel \"k\"\n"
                    "%3: f32[6] @0+24 = reshape(%2) {shape=[6]} fwd\n"
                    "%4: f32[6] @0+24 = exp(%3) fwd in_place kernel \"k\"\nreturn %4 \"y\""),
            "ok");
}

TEST(VerifierTest, RejectsReadersOfOverwrittenBytes) {
  EXPECT_EQ(Planned("%0: f32[2,3] input \"x\" @0+24\n"
                    "%1: f32[2,3] @64+24 = exp(%0) fwd kernel \"k\"\n"
                    "%2: f32[] @64+4 = fill() fwd kernel \"k\"\n"
                    "%3: f32[2,3] @128+24 = add(%1, %2) fwd kernel \"k\"\n"),
            "verify: node 2 (add): reads result 0 of node 0 from bytes that were overwritten");
  EXPECT_EQ(Planned("%0: f32[2,3] input \"x\" @0+24\n"
                    "%1: f32[] @64+4 = fill() fwd kernel \"k\" scratch @0+1\nreturn %0 \"y\""),
            "verify: y: the output's bytes are overwritten");
}

TEST(VerifierTest, RejectsOverlapWithinOneNode) {
  EXPECT_EQ(Planned("%0: f32[2,3] input \"x\" @0+24\n"
                    "%1: f32[2,3] @0+24 = exp(%0) fwd kernel \"k\"\n"),
            "verify: node 0 (exp): writes over its operand \"x\"");
  EXPECT_EQ(Planned("%0: f32[2,3] input \"x\" @0+24\n"
                    "%1: f32[2,3] @64+24 = exp(%0) fwd kernel \"k\" scratch @0+8\n"),
            "verify: node 0 (exp): writes over its operand \"x\"");
  EXPECT_EQ(Planned("%0: f32[2,3] input \"x\" @0+24\n"
                    "%1: f32[2,3] @64+24 = exp(%0) fwd kernel \"k\" scratch @64+8\n"),
            "verify: node 0 (exp): scratch and a result overlap");
  EXPECT_EQ(Planned("%0: f32[2,3] input \"x\" @0+24\n%1: f32[3] const \"c\"\n"
                    "%2: f32[2,3] @64+24, %3: f32[3] @128+12, %4: f32[3] @128+12 = "
                    "batch_norm(%0, %1, %1) fwd kernel \"k\"\n"),
            "verify: node 0 (batch_norm): results 1 and another overlap");
}

TEST(VerifierTest, RejectsPlacesOutsideTheArena) {
  EXPECT_EQ(Planned("%0: f32[2,3] input \"x\" @32+24\n"),
            "verify: \"x\": is not aligned inside the arena (got 32+24 of 256)");
  EXPECT_EQ(Planned("%0: f32[17] input \"x\" @192+68\n"),
            "verify: \"x\": is not aligned inside the arena (got 192+68 of 256)");
  EXPECT_EQ(Planned("%0: f32[] @0+4 = fill() fwd kernel \"k\" scratch @192+65\n"),
            "verify: node 0 (fill): scratch is not aligned inside the arena");
  EXPECT_EQ(Planned("%0: f32[] @0+4 = fill() fwd kernel \"k\" scratch @0+-9223372036854775808\n"),
            "verify: node 0 (fill): scratch is not aligned inside the arena");
  EXPECT_EQ(Planned("%0: f32[2] const \"c\" @0+8\n"),
            "verify: \"c\": has an offset, but does not live in the arena");
}

TEST(VerifierTest, RejectsPlansWithHoles) {
  EXPECT_EQ(Planned("%0: f32[] @0+4 = fill() fwd\n"), "verify: node 0 (fill): has no kernel");
  EXPECT_EQ(Planned("%0: f32[] = fill() fwd kernel \"k\"\n%1: f32[] = exp(%0) fwd kernel \"k\"\n"),
            "verify: node 1 (exp): reads result 0 of node 0 from bytes that have no offset");
  EXPECT_EQ(Planned("%0: f32[] @0+4 = fill() fwd kernel \"k\"\n"
                    "%1: f32[] @64+4 = exp(%0) fwd in_place kernel \"k\"\n"),
            "verify: node 1 (exp): is in place, but its result has an offset of its own");
}

}  // namespace
}  // namespace pocketune
