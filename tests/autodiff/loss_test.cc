#include "autodiff/loss.h"

#include <gtest/gtest.h>

#include <vector>

#include "backends/reference/reference_kernels.h"
#include "graph/ir/builder.h"
#include "graph/ir/verifier.h"
#include "tests/support/interpreter.h"

namespace pocketune {
namespace {

constexpr int kSamples = 6;
constexpr int kClasses = 5;

// The loss of given logits, computed in so many slices.
double LossInSlices(int slices, const std::vector<double>& weights, bool squared) {
  Graph graph;
  const ValueId logits = graph.AddInput("logits", {{kSamples, kClasses}, DType::kF32});
  GraphBuilder builder(&graph);
  std::vector<ValueId> parts;
  for (int i = 0; i < slices; ++i) {
    SliceAttrs attrs{.shape = {kSamples / slices, kClasses}};
    attrs.begin[0] = i * kSamples / slices;
    parts.push_back(slices == 1 ? logits : builder.Op(OpKind::kSlice, {logits}, attrs));
  }
  const absl::StatusOr<ValueId> loss =
      squared ? AttachSquaredLoss(graph, parts) : AttachClassificationLoss(graph, parts, 0.1);
  EXPECT_TRUE(loss.ok()) << loss.status();
  EXPECT_TRUE(Verify(graph).ok()) << Verify(graph);
  test::Interpreter interpreter(graph, ReferenceKernels(), DType::kF64);
  std::vector<double> values, truth;
  for (int i = 0; i < kSamples * kClasses; ++i) values.push_back(0.1 * (i * 7 % 11));
  for (int i = 0; i < kSamples * (squared ? kClasses : 1); ++i) truth.push_back(i * 3 % kClasses);
  interpreter.Set("logits", values);
  interpreter.Set(squared ? kTargetInput : kLabelInput, truth);
  interpreter.Set(kWeightInput, weights);
  StepPage page;
  interpreter.Run(page);
  EXPECT_FALSE(page.faulty());
  return interpreter.Get(kLossOutput).Values()[0];
}

TEST(LossTest, SlicesHaveTheMeanOfTheBatchPaddingIncluded) {
  for (const bool squared : {false, true}) {
    for (const std::vector<double>& weights :
         {std::vector<double>{1, 1, 1, 1, 1, 1}, {1, 1, 0, 1, 0, 0}, {1, 0, 0, 0, 0, 0}}) {
      const double want = LossInSlices(1, weights, squared);
      EXPECT_GT(want, 0.0);
      for (const int slices : {2, 3, 6}) {
        EXPECT_NEAR(LossInSlices(slices, weights, squared), want, 1e-12) << slices;
      }
    }
  }
}

TEST(LossTest, ABatchOfPaddingAloneHasNoLoss) {
  EXPECT_EQ(LossInSlices(3, {0, 0, 0, 0, 0, 0}, false), 0.0);
}

}  // namespace
}  // namespace pocketune
