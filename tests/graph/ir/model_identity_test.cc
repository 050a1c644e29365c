#include "graph/ir/model_identity.h"

#include <gtest/gtest.h>

#include "graph/ir/builder.h"

namespace pocketune {
namespace {

struct Choice {
  int64_t batch = 5;
  int64_t out = 3;
  const char* name = "fc.weight";
  OpKind act = OpKind::kRelu;
  bool residual = true;
  double dropout = 0;
  float value = 1;
};

// image -> linear -> activation -> logits
Graph Build(const Choice& choice) {
  Graph graph;
  GraphBuilder builder(&graph);
  ValueId x = graph.AddInput("image", {Shape{choice.batch, 7}, DType::kF32});
  const auto data = [&](int64_t n) {
    return std::make_shared<const std::vector<float>>(static_cast<size_t>(n), choice.value);
  };
  const ValueId w0 = graph.AddParam("body.weight", Shape{7, 7}, ParamRole::kWeight, data(49));
  const ValueId h = builder.Op(OpKind::kMatmul, {x, w0, kNone}, MatmulAttrs{.trans_b = true});
  x = choice.residual ? builder.Op(OpKind::kAdd, {h, x}) : h;
  x = builder.Op(choice.act, {x});
  if (choice.dropout > 0)
    x = builder.Op(OpKind::kDropout, {x}, DropoutAttrs{.rate = choice.dropout});
  const ValueId w =
      graph.AddParam(choice.name, Shape{choice.out, 7}, ParamRole::kWeight, data(7 * choice.out));
  graph.outputs.push_back(
      {"logits", builder.Op(OpKind::kMatmul, {x, w, kNone}, MatmulAttrs{.trans_b = true})});
  EXPECT_TRUE(builder.status().ok()) << builder.status();
  return graph;
}

TEST(ModelIdentityTest, IsTheSameWhateverBatchDropoutAndWeights) {
  const uint64_t identity = ModelIdentity(Build({}));
  EXPECT_NE(identity, 0u);
  EXPECT_EQ(ModelIdentity(Build({})), identity);
  EXPECT_EQ(ModelIdentity(Build({.batch = 11})), identity);
  EXPECT_EQ(ModelIdentity(Build({.dropout = 0.5})), identity);
  EXPECT_EQ(ModelIdentity(Build({.value = 2})), identity);
  Graph trained = Build({});
  for (Value& value : trained.values) value.trainable = value.kind == ValueKind::kParam;
  EXPECT_EQ(ModelIdentity(trained), identity);
}

TEST(ModelIdentityTest, DiffersInParametersOperatorsAndHowTheyAreJoined) {
  const uint64_t identity = ModelIdentity(Build({}));
  EXPECT_NE(ModelIdentity(Build({.out = 4})), identity);
  EXPECT_NE(ModelIdentity(Build({.name = "classifier.weight"})), identity);
  EXPECT_NE(ModelIdentity(Build({.act = OpKind::kSilu})), identity);
  EXPECT_NE(ModelIdentity(Build({.residual = false})), identity);
}

TEST(WeightsIdentityTest, DiffersInTheirValuesAlone) {
  const auto of = [](const Choice& choice) {
    std::vector<Value> params;
    for (const Value& value : Build(choice).values) {
      if (value.kind == ValueKind::kParam) params.push_back(value);
    }
    return WeightsIdentity(params);
  };
  EXPECT_EQ(of({.batch = 11, .name = "other"}), of({}));
  EXPECT_NE(of({.value = 2}), of({}));
}

TEST(SlicesIdentityTest, TellsWhichSlicesLearn) {
  Value all, some, others;
  const auto set = [](Value& value, std::vector<int32_t> numbers) {
    value.slices = std::make_shared<const LearningSlices>(LearningSlices{3, std::move(numbers)});
  };
  set(some, {0, 2});
  set(others, {0, 3});
  EXPECT_EQ(SlicesIdentity(all), 0u);
  EXPECT_NE(SlicesIdentity(some), 0u);
  EXPECT_NE(SlicesIdentity(some), SlicesIdentity(others));
}

}  // namespace
}  // namespace pocketune
