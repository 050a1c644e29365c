#include "graph/ir/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "engine/base/rng.h"
#include "graph/ir/builder.h"

namespace pocketune {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kPlanned = R"(pocketune-ir 1
graph "two\nlines" stage=planned arena=4096 {
  %0: f32[2,5,5,3] input "image" @0+600
  %1: f32[7,3,3,3] param "a \"b\" \\ ü" weight block 3 train
  %2: f32[7] const "c"
  %3: f32[2,5,5,7] "hint" @640+1400 = conv2d(%0, %1, %2) {act=relu6, pad=[1,1,1,1]} fwd kernel "cpu.conv2d" scratch @2048+64
  %4: f32[2,5,5,7] @640+1400 = clamp(%3) {hi=inf, lo=-0.1} fwd in_place kernel "cpu.clamp"
  %5: f32[50,7] @640+1400 = reshape(%4) {shape=[50,7]} fwd
  %6: f32[50,7] @2048+1400, %7: f32[7] @3456+28, %8: f32[7] = batch_norm(%5, %2, %2) {eps=1e-20} fwd kernel "cpu.batch_norm"
  %9: f32[7,50] @0+1400 = transpose(%6) {perm=[1,0]} bwd kernel "cpu.transpose"
  return %9 "out", %7 "mean"
}
)";

std::string Printed(const std::string& text, const PrintOptions& options = {}) {
  const absl::StatusOr<Graph> graph = Parse(text);
  return graph.ok() ? Print(*graph, options) : std::string(graph.status().message());
}

std::string ErrorOf(const std::string& text) {
  const absl::StatusOr<Graph> graph = Parse(text);
  return graph.ok() ? "no error" : std::string(graph.status().message());
}

// A forward graph of one line after an input x[2,3].
std::string WithLine(const std::string& line) {
  return "pocketune-ir 1\ngraph \"g\" stage=forward {\n%0: f32[2,3] input \"x\"\n" + line + "\n}\n";
}

TEST(TextTest, PrintsWhatWasParsed) { EXPECT_EQ(Printed(kPlanned), kPlanned); }

TEST(TextTest, SaysRolesAndLayoutsThatNamesAndRanksDoNot) {
  const std::string text = R"(pocketune-ir 1
graph "g" stage=forward {
  %0: f32[2,3] input "image"
  %1: f32[2] input "weight" data
  %2: f32[2,3] input "y" label
  %3: f32[2] input "share" sample_weight
  %4: f32[1,4,3] param "position" weight rows stem
  %5: f32[1,4,3] param "filter" weight stem
  %6: f32[1,2,2,3] param "grid" weight rows block 2 train
  return %0 "scores" prediction, %1 "logits" other, %2 "loss"
}
)";
  const absl::StatusOr<Graph> graph = Parse(text);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(Print(*graph), text);
  EXPECT_EQ(graph->values[0].port, PortRole::kData);
  EXPECT_EQ(graph->values[1].port, PortRole::kData);
  EXPECT_EQ(graph->values[2].port, PortRole::kLabel);
  EXPECT_EQ(graph->values[3].port, PortRole::kSampleWeight);
  EXPECT_EQ(graph->values[4].layout, ParamLayout::kRows);
  EXPECT_EQ(graph->values[5].layout, ParamLayout::kDepthwise);
  EXPECT_EQ(graph->values[6].layout, ParamLayout::kRows);
  EXPECT_EQ(graph->FindOutput(PortRole::kPrediction), 0);
  EXPECT_EQ(graph->FindOutput(PortRole::kLoss), 2);
}

TEST(TextTest, KeepsEveryDoubleBitForBit) {
  for (const double factor : {0.1, -0.0, 1e300, 5e-324, 1.0 / 3.0, 1e-5, 123456789.0}) {
    Graph graph;
    const ValueId x = graph.AddInput("x", {{3}, DType::kF32});
    GraphBuilder(&graph).Affine(x, factor, -factor);
    const absl::StatusOr<Graph> back = Parse(Print(graph));
    ASSERT_TRUE(back.ok()) << back.status();
    const auto& attrs = std::get<AffineAttrs>(back->nodes[0].attrs);
    EXPECT_EQ(std::signbit(attrs.factor), std::signbit(factor));
    EXPECT_EQ(attrs.factor, factor);
    EXPECT_EQ(attrs.offset, -factor);
  }
}

TEST(TextTest, NumbersValuesDenselyInOrderOfAppearance) {
  Graph graph;
  const ValueId x = graph.AddInput("x", {{3}, DType::kF32});
  GraphBuilder builder(&graph);
  const ValueId y = builder.Op(OpKind::kRelu, {x});
  const ValueId w = graph.AddParam("w", {3}, ParamRole::kWeight, nullptr);
  builder.Op(OpKind::kMul, {y, w});
  EXPECT_THAT(Print(graph), HasSubstr("%3: f32[3] = mul(%2, %1) fwd"));
}

TEST(TextTest, PrintsLocationsOnlyWhenAsked) {
  Graph graph;
  const ValueId x = graph.AddInput("x", {{3}, DType::kF32});
  GraphBuilder builder(&graph);
  builder.set_loc("features.3");
  builder.Op(OpKind::kRelu, {x});
  const PrintOptions locs = {.locs = true};
  EXPECT_THAT(Print(graph), Not(HasSubstr("features.3")));
  EXPECT_THAT(Print(graph, locs), HasSubstr("fwd loc \"features.3\""));
  EXPECT_EQ(Printed(Print(graph, locs), locs), Print(graph, locs));
}

TEST(TextTest, ChecksumsTellDataApartAndReadBackWithoutData) {
  std::string texts[2];
  for (int i = 0; i < 2; ++i) {
    Graph graph;
    const std::vector<float> data = {1.0f, 2.0f, float(i)};
    graph.AddParam("w", {3}, ParamRole::kWeight, std::make_shared<const std::vector<float>>(data));
    texts[i] = Print(graph, {.checksums = true});
    const absl::StatusOr<Graph> back = Parse(texts[i]);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->values[0].data, nullptr);
    EXPECT_EQ(Print(*back), Print(graph));
  }
  EXPECT_NE(texts[0], texts[1]);
}

TEST(TextTest, ErrorsNameTheLineAndTheFact) {
  EXPECT_EQ(ErrorOf(""), "line 1: the text ends (want pocketune-ir)");
  EXPECT_EQ(ErrorOf("pocketune-ir 2"), "line 1: unexpected text (got \"2\", want 1)");
  EXPECT_EQ(ErrorOf(WithLine("%2: f32[2,3] = relu(%0) fwd")),
            "line 4: unexpected text (got \"2\", want definition of %1)");
  EXPECT_EQ(ErrorOf(WithLine("%1: f32[2,3] = relu(%1) fwd")),
            "line 4: unexpected text (got \"1\", want a value that is defined above)");
  EXPECT_EQ(ErrorOf(WithLine("%1: f32[2,3] = relux(%0) fwd")),
            "line 4: unexpected text (got \"relux\", want an op)");
  EXPECT_EQ(ErrorOf(WithLine("%1: f32[3,2] = relu(%0) fwd")),
            "line 4: relu: result 0 has another type (got f32[3,2], want f32[2,3])");
  EXPECT_EQ(ErrorOf(WithLine("%1: f32[2,3] = affine(%0) {offset=1, factor=2} fwd")),
            "line 4: unexpected text (got \"factor\", want an attribute, in alphabetical order)");
  EXPECT_EQ(ErrorOf(WithLine("%1: f32[2,3] = affine(%0) {scale=1} fwd")),
            "line 4: unexpected text (got \"scale\", want an attribute of this op)");
  EXPECT_EQ(ErrorOf(WithLine("%1: f32[2,3] @0+24 = relu(%0) fwd")),
            "line 4: only values of a planned graph have offsets");
}

TEST(TextTest, RejectsSizesThatWouldOverflow) {
  EXPECT_EQ(ErrorOf(WithLine("%1: f32[4611686018427387904,4] input \"y\"")),
            "line 4: a dimension is below 1 or the elements are too many");
  EXPECT_EQ(ErrorOf(WithLine("%1: f32[0] input \"y\"")),
            "line 4: a dimension is below 1 or the elements are too many");
  EXPECT_THAT(ErrorOf(WithLine("%1: f32[99999999999999999999] input \"y\"")),
              HasSubstr("want a number in range"));
  EXPECT_EQ(ErrorOf(WithLine("%1: f32[1,1,1,1,1,1,1] input \"y\"")),
            "line 4: a shape has more than 6 dimensions");
}

TEST(TextTest, EveryTruncationIsAnError) {
  const std::string text = kPlanned;
  for (size_t n = 0; n + 2 < text.size(); ++n) {
    EXPECT_FALSE(Parse(text.substr(0, n)).ok()) << n;
  }
}

TEST(TextTest, DamagedTextNeverCrashesAndWhatParsesPrintsAlike) {
  const std::string text = kPlanned;
  const RandomStream random(1, "damage");
  int parsed = 0;
  for (uint64_t i = 0; i < 20000; ++i) {
    std::string damaged = text;
    const uint64_t edits = 1 + random.Below(8 * i, 3);
    for (uint64_t e = 0; e < edits; ++e) {
      const size_t at = random.Below(8 * i + 2 * e + 1, static_cast<uint32_t>(text.size()));
      const size_t from = random.Below(8 * i + 2 * e + 2, static_cast<uint32_t>(text.size()));
      damaged[at] = text[from];  // characters of the text itself get past the lexer more often
    }
    const absl::StatusOr<Graph> graph = Parse(damaged);
    if (!graph.ok()) {
      EXPECT_THAT(std::string(graph.status().message()), testing::StartsWith("line "));
      continue;
    }
    ++parsed;
    const std::string printed = Print(*graph);
    EXPECT_EQ(Printed(printed), printed);
  }
  EXPECT_GT(parsed, 100);
}

}  // namespace
}  // namespace pocketune
