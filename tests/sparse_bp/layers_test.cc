#include "sparse_bp/layers.h"

#include <gtest/gtest.h>

#include "graph/ir/builder.h"
#include "sparse_bp/scheme.h"

namespace pocketune {
namespace {

// Of every layer, channels(R) leaves alone what is no layer's weight, and a weight of two layers
// that see different dimensions of it as their input channels.
TEST(LayersTest, ChannelsOfEveryLayerLeaveOutWhatHasNone) {
  Graph graph;
  GraphBuilder builder(&graph);
  const ValueId x = graph.AddInput("x", {{2, 4}, DType::kF32});
  const auto param = [&](const char* name, Shape shape, Section section) {
    const ValueId id = graph.AddParam(name, shape, ParamRole::kWeight, nullptr);
    graph.value(id).section = section;
    return id;
  };
  const ValueId table = param("table", {2, 4}, Section::kBlock);
  const ValueId tied = param("tied", {4, 4}, Section::kBlock);
  const ValueId head = param("head", {3, 4}, Section::kClassifier);
  const MatmulAttrs by_rows{.trans_b = true};
  ValueId y = builder.Op(OpKind::kMatmul, {builder.Op(OpKind::kAdd, {x, table}), tied}, by_rows);
  y = builder.Op(OpKind::kMatmul, {y, tied});
  graph.outputs.push_back({"y", builder.Op(OpKind::kMatmul, {y, head}, by_rows)});
  ASSERT_TRUE(builder.status().ok()) << builder.status();
  EXPECT_EQ(ChannelAxes(graph)[tied], kNone);
  EXPECT_EQ(ChannelAxes(graph)[head], 1);
  ASSERT_TRUE(ApplyScheme(graph, *ParseScheme("channels(0.5)")).ok());
  EXPECT_FALSE(graph.value(table).trainable);
  EXPECT_FALSE(graph.value(tied).trainable);
  EXPECT_TRUE(graph.value(head).trainable);
  EXPECT_FALSE(ApplyScheme(graph, *ParseScheme("tied=channels(0.5)")).ok());
}

}  // namespace
}  // namespace pocketune
