#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "engine/train/batch_loader.h"
#include "pocketune/sample_source.h"

namespace pocketune {
namespace {

// Sentences of 3, 0, 4 and 2 tokens, a sensor's reading and a label for each.
class MemorySourceTest : public ::testing::Test {
 protected:
  MemorySourceTest() {
    std::iota(tokens_.begin(), tokens_.end(), 1);
    source_.AddRagged("tokens", tokens_.data(), sizeof(int32_t), offsets_, "length");
    source_.Add("sensor", std::span<const uint8_t>(sensor_));
    source_.Add("label", std::span<const int32_t>(labels_));
  }

  static std::vector<PortInfo> Inputs(int64_t longest) {
    return {{"tokens", {2, longest}, DType::kI32},
            {"length", {2}, DType::kI32},
            {"sensor", {2, 3}, DType::kU8},
            {"label", {2}, DType::kI32, PortRole::kLabel},
            {"weight", {2}, DType::kF32, PortRole::kSampleWeight}};
  }

  template <typename T>
  static std::vector<T> ValuesOf(const Batch& batch, std::string_view name) {
    const BatchInput* input = batch.Find(name);
    const T* values = reinterpret_cast<const T*>(input->data);
    return {values, values + input->port.shape.elems()};
  }

  std::vector<int32_t> tokens_ = std::vector<int32_t>(9);
  const std::vector<int64_t> offsets_ = {0, 3, 3, 7, 9};
  const std::vector<uint8_t> sensor_ = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const std::vector<int32_t> labels_ = {5, 6, 7, 8};
  MemorySource source_{4};
};

TEST_F(MemorySourceTest, FillsInputsOfAnyTypeAndPadsWhatIsShort) {
  auto loader = BatchLoader::Create(&source_, LoaderOptions::Eval(Inputs(4), 2, 2));
  ASSERT_TRUE(loader.ok()) << loader.status().message();
  const Batch& first = *loader.value()->Next().value();
  EXPECT_EQ(ValuesOf<int32_t>(first, "tokens"), (std::vector<int32_t>{1, 2, 3, 0, 0, 0, 0, 0}));
  EXPECT_EQ(ValuesOf<int32_t>(first, "length"), (std::vector<int32_t>{3, 0}));
  const Batch& second = *loader.value()->Next().value();
  EXPECT_EQ(ValuesOf<int32_t>(second, "tokens"), (std::vector<int32_t>{4, 5, 6, 7, 8, 9, 0, 0}));
  EXPECT_EQ(ValuesOf<int32_t>(second, "length"), (std::vector<int32_t>{4, 2}));
  EXPECT_EQ(ValuesOf<uint8_t>(second, "sensor"), (std::vector<uint8_t>{7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(ValuesOf<int32_t>(second, "label"), (std::vector<int32_t>{7, 8}));
  EXPECT_EQ(ValuesOf<float>(second, "weight"), (std::vector<float>{1, 1}));
  EXPECT_EQ(loader.value()->Next().value(), nullptr);
}

TEST_F(MemorySourceTest, ASampleLongerThanThePlansInputIsBad) {
  LoaderOptions options = LoaderOptions::Eval(Inputs(3), 2, 1);
  options.tolerate_bad = true;
  auto loader = BatchLoader::Create(&source_, options);
  ASSERT_TRUE(loader.ok());
  while (loader.value()->Next().value() != nullptr) {
  }
  EXPECT_EQ(loader.value()->bad(), (std::vector<int64_t>{2}));
}

TEST_F(MemorySourceTest, AnInputThatWasNotAddedOrHasAnotherSizeIsAnError) {
  std::vector<PortInfo> inputs = Inputs(4);
  inputs.push_back({"sound", {2, 8}, DType::kF32});
  std::vector<PortInfo> wide = Inputs(4);
  wide[2].shape = {2, 4};
  std::vector<PortInfo> wrong_type = Inputs(4);
  wrong_type[1].dtype = DType::kF32;
  for (const std::vector<PortInfo>& asked : {inputs, wide, wrong_type}) {
    auto loader = BatchLoader::Create(&source_, LoaderOptions::Eval(asked, 2, 1));
    ASSERT_TRUE(loader.ok());
    EXPECT_EQ(loader.value()->Next().status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(loader.value()->failed_sample(), 0);
  }
}

TEST_F(MemorySourceTest, OffsetsMustBeOneMoreThanTheSamples) {
  MemorySource source(5);
  source.AddRagged("tokens", tokens_.data(), sizeof(int32_t), offsets_);
  auto loader =
      BatchLoader::Create(&source, LoaderOptions::Eval({{"tokens", {5, 4}, DType::kI32}}, 5, 1));
  ASSERT_TRUE(loader.ok());
  EXPECT_EQ(loader.value()->Next().status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pocketune
