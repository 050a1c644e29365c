// Steps that start behind the frozen layers, on the CPU backend: the same bits as whole steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/zoo_session.h"

namespace pocketune::test {
namespace {

constexpr int kBatch = 3;

struct Case {
  const char* name;
  ModelSpec model;
  const char* scheme;
  int64_t row_floats;  // 0: whatever comes out
  int micro_batch = 0;
};

class PrefixTest : public ::testing::TestWithParam<Case> {
 protected:
  PrefixTest()
      : plan_(CompileZooModel(GetParam().model, GetParam().scheme, 4, GetParam().micro_batch)) {}

  static std::vector<uint8_t> Rows(ZooSession& session) {
    std::vector<uint8_t> rows(kBatch * session->prefix("train").row_bytes);
    EXPECT_TRUE(session->ComputePrefix("train", rows).ok());
    return rows;
  }

  const std::string plan_;
};

TEST_P(PrefixTest, StepsFromRowsGiveTheSameBitsOnAnyNumberOfThreads) {
  const std::vector<float> whole = ZooSession(plan_, {.threads = 1}).Train(3);
  for (const int threads : {1, 4}) {
    ZooSession session(plan_, {.threads = threads, .poison = threads > 1});
    const int64_t row_bytes = session->prefix("train").row_bytes;
    ASSERT_GT(row_bytes, 0);
    if (GetParam().row_floats > 0) {
      EXPECT_EQ(row_bytes, 4 * GetParam().row_floats);
    }
    const std::vector<uint8_t> rows = Rows(session);
    std::vector<const uint8_t*> pointers;
    for (int i = 0; i < kBatch; ++i) pointers.push_back(rows.data() + i * row_bytes);
    ASSERT_TRUE(session->BindPrefix("train", pointers).ok());
    const std::vector<float> tail = session.Train(3);
    ASSERT_EQ(tail.size(), whole.size());
    EXPECT_EQ(std::memcmp(tail.data(), whole.data(), whole.size() * 4), 0) << threads;
  }
}

// What lets a row be read back at another place of another batch.
TEST_P(PrefixTest, ARowDoesNotDependOnItsPlaceInTheBatch) {
  ZooSession session(plan_, {.threads = 2});
  const int64_t row_bytes = session->prefix("train").row_bytes;
  std::vector<uint8_t> want = Rows(session);
  const Shape shape = session->inputs("train")[0].shape;
  std::vector<float> image = session.input(0);
  for (int turn = 1; turn < kBatch; ++turn) {
    std::rotate(image.begin(), image.begin() + shape.elems() / kBatch, image.end());
    std::rotate(want.begin(), want.begin() + row_bytes, want.end());
    ASSERT_TRUE(session->Bind("image", image.data(), shape.elems() * 4).ok());
    EXPECT_TRUE(Rows(session) == want) << turn;
  }
}

INSTANTIATE_TEST_SUITE_P(
    , PrefixTest,
    ::testing::Values(
        Case{"MobileNetV2Head",
             {.name = "mobilenet_v2", .width = 0.35, .resolution = 64, .classes = 11, .batch = 3},
             "head",
             1280},
        Case{"MobileNetV2Blocks",
             {.name = "mobilenet_v2", .width = 0.35, .resolution = 64, .classes = 11, .batch = 3},
             "blocks:4",
             4 * 4 * 32},
        // Inside a block: what stands before it is shorter than the two values that cross there.
        Case{"MobileNetV2Biases",
             {.name = "mobilenet_v2", .width = 0.35, .resolution = 64, .classes = 11, .batch = 3},
             "bias:3",
             2 * 2 * 56},
        // A part of the rows from each slice.
        Case{"MobileNetV2InSlices",
             {.name = "mobilenet_v2", .width = 0.35, .resolution = 64, .classes = 11, .batch = 3},
             "blocks:4",
             4 * 4 * 32,
             1},
        Case{"McuNet",
             {.name = "mcunet-5fps", .resolution = 48, .classes = 11, .batch = 3},
             "blocks:3",
             0},
        Case{"ResNet8", {.name = "resnet8", .classes = 11, .batch = 3}, "blocks:1", 0},
        Case{"DsCnn", {.name = "ds-cnn", .classes = 11, .batch = 3}, "head", 64}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(NoPrefixTest, TheRestOfTheModelLearns) {
  const ModelSpec model = {.name = "resnet8", .classes = 11, .batch = 3};
  EXPECT_EQ(
      ZooSession(CompileZooModel(model, "full", 1), {.threads = 1})->prefix("train").row_bytes, 0);
}

}  // namespace
}  // namespace pocketune::test
