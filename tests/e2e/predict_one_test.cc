// Predictions of one sample under plans for batches: the answers of the batch, to rounding, and
// those of a plan for one sample, to the bit.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/zoo_session.h"

namespace pocketune {
namespace {

using test::ZooSession;

constexpr int kBatch = 6;

ModelSpec SpecOf(const std::string& model, int batch) {
  return {.name = model, .classes = 10, .batch = batch};
}

class PredictOneTest : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  PredictOneTest()
      : batch_(test::CompileZooModel(SpecOf(model(), kBatch), scheme(), 2), {.threads = 2}),
        row_bytes_(batch_->inputs("predict")[0].shape.elems() * 4) {
    batch_.Train(2);
  }
  static std::string model() { return std::get<0>(GetParam()); }
  static std::string scheme() { return std::get<1>(GetParam()); }

  const float* Sample(int i) const { return batch_.input(0).data() + i * (row_bytes_ / 4); }
  static std::vector<float> Read(ZooSession& session, const char* schedule) {
    std::vector<float> logits(static_cast<size_t>(session->outputs(schedule)[0].shape.elems()));
    EXPECT_EQ(session->outputs(schedule)[0].name, "logits");
    EXPECT_TRUE(session->Read(schedule, "logits", logits).ok());
    return logits;
  }
  static std::vector<float> PredictOne(ZooSession& session, const float* sample, int64_t bytes) {
    EXPECT_TRUE(session->Bind("predict", "image", sample, bytes).ok());
    EXPECT_TRUE(session->Predict("predict").ok());
    return Read(session, "predict");
  }

  ZooSession batch_;
  const int64_t row_bytes_;
};

TEST_P(PredictOneTest, AnswersAsTheBatchDoesButForRounding) {
  ASSERT_TRUE(batch_->Predict().ok());
  const std::vector<float> all = Read(batch_, "eval");
  double scale = 0;
  for (const float x : all) scale = std::max(scale, std::fabs(double{x}));
  for (int i = 0; i < kBatch; ++i) {
    const std::vector<float> one = PredictOne(batch_, Sample(i), row_bytes_);
    for (size_t k = 0; k < one.size(); ++k) {
      EXPECT_NEAR(one[k], all[static_cast<size_t>(i) * one.size() + k], 1e-5 * scale) << i;
    }
  }
}

TEST_P(PredictOneTest, AnswersBitForBitAsAPlanForOneSample) {
  const test::TempFolder folder;
  ASSERT_TRUE(batch_->Save(folder.File("c").c_str(), "").ok());
  ZooSession one(test::CompileZooModel(SpecOf(model(), 1), scheme(), 1), {});
  ASSERT_TRUE(one->Restore(folder.File("c").c_str(), nullptr).ok());
  for (int i = 0; i < kBatch; ++i) {
    // The name stands for "eval" there.
    EXPECT_EQ(PredictOne(batch_, Sample(i), row_bytes_), PredictOne(one, Sample(i), row_bytes_));
  }
}

TEST_P(PredictOneTest, ChangesNothingOfATrainingThatItInterrupts) {
  ZooSession alone(test::CompileZooModel(SpecOf(model(), kBatch), scheme(), 2), {.threads = 2});
  alone.Train(2);
  for (int i = 0; i < 2; ++i) {
    PredictOne(batch_, Sample(i), row_bytes_);
    EXPECT_EQ(batch_.Train(1), alone.Train(1));
  }
}

INSTANTIATE_TEST_SUITE_P(Zoo, PredictOneTest,
                         ::testing::Combine(::testing::Values("resnet8", "mbv2-w0.35", "ds-cnn",
                                                              "mcunet-in0"),
                                            ::testing::Values("full", "bias", "head", "blocks:2")),
                         [](const auto& info) {
                           std::string name =
                               std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param);
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace pocketune
