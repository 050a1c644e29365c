#include "engine/train/batch_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "tests/engine/train/tiny_samples.h"

namespace pocketune::test {
namespace {

std::vector<PortInfo> Inputs(int64_t batch) {
  return {{"image", {batch, kTinyFeatures}, DType::kF32, PortRole::kData, /*in_prefix=*/true},
          {"label", {batch}, DType::kI32, PortRole::kLabel},
          {"weight", {batch}, DType::kF32, PortRole::kSampleWeight}};
}

LoaderOptions Training(int64_t batch, int threads = 2) {
  LoaderOptions options;
  options.inputs = Inputs(batch);
  options.batch = batch;
  options.seed = 7;
  options.size = threads;
  return options;
}

// The numbers of the samples in the next batches, one behind the other.
std::vector<int64_t> Take(BatchLoader& loader, int batches) {
  std::vector<int64_t> samples;
  for (int i = 0; i < batches; ++i) {
    const Result<const Batch*> batch = loader.Next();
    EXPECT_TRUE(batch.ok()) << batch.status().message();
    if (!batch.ok() || batch.value() == nullptr) break;
    samples.insert(samples.end(), batch.value()->samples.begin(), batch.value()->samples.end());
  }
  return samples;
}

TEST(BatchLoaderTest, SeesEachSampleOncePerEpochWhateverTheThreads) {
  TinySamples samples(23);
  auto one = BatchLoader::Create(&samples, Training(5, 1));
  auto three = BatchLoader::Create(&samples, Training(5, 3));
  ASSERT_TRUE(one.ok() && three.ok());
  const std::vector<int64_t> first = Take(*one.value(), 5), second = Take(*one.value(), 5);
  EXPECT_EQ(Take(*three.value(), 5), first);
  EXPECT_EQ(Take(*three.value(), 5), second);
  EXPECT_NE(first, second);
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()).size(), 24u);  // and -1 for padding
}

TEST(BatchLoaderTest, GoesOnFromAnyPlace) {
  TinySamples samples(23);
  auto loader = BatchLoader::Create(&samples, Training(5));
  ASSERT_TRUE(loader.ok());
  const std::vector<int64_t> all = Take(*loader.value(), 10);
  loader.value()->Seek(1, 2);
  EXPECT_EQ(Take(*loader.value(), 3), std::vector<int64_t>(all.begin() + 35, all.end()));
}

TEST(BatchLoaderTest, PutsTheNextSampleInPlaceOfABadOneAndCountsItOnce) {
  TinySamples samples(23);
  auto good = BatchLoader::Create(&samples, Training(23));
  ASSERT_TRUE(good.ok());
  std::vector<int64_t> want = Take(*good.value(), 1);
  samples.bad = {want[4]};
  auto loader = BatchLoader::Create(&samples, Training(23, 3));
  ASSERT_TRUE(loader.ok());
  EXPECT_EQ(Take(*loader.value(), 1)[4], want[5]);
  Take(*loader.value(), 2);
  EXPECT_EQ(loader.value()->bad(), (std::vector<int64_t>{want[4]}));
}

TEST(BatchLoaderTest, StopsAtTooManyBadSamplesAndAtAnyOtherError) {
  TinySamples samples(23);
  samples.bad = {1, 2};
  auto loader = BatchLoader::Create(&samples, Training(23));
  ASSERT_TRUE(loader.ok());
  EXPECT_EQ(loader.value()->Next().status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(loader.value()->failed_sample(), -1);
  EXPECT_EQ(loader.value()->bad().size(), 2u);

  samples.bad.clear();
  samples.broken = 9;
  auto broken = BatchLoader::Create(&samples, Training(23));
  ASSERT_TRUE(broken.ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(broken.value()->Next().status().code(), StatusCode::kUnavailable);
    EXPECT_EQ(broken.value()->failed_sample(), 9);
  }
}

TEST(BatchLoaderTest, LeavesOutAnInputThatComesFromElsewhere) {
  TinySamples samples(23);
  LoaderOptions options = Training(5);
  options.from_rows = true;
  options.known_bad = {3};
  auto loader = BatchLoader::Create(&samples, options);
  ASSERT_TRUE(loader.ok());
  const Batch& batch = *loader.value()->Next().value();
  EXPECT_EQ(batch.Find("image")->data, nullptr);
  EXPECT_NE(batch.Find("label")->data, nullptr);
  const std::vector<int64_t> epoch = Take(*loader.value(), 4);
  EXPECT_EQ(std::count(epoch.begin(), epoch.end(), 3), 0);
}

// Tells what each input that it is to fill in is for.
class RoleSource final : public SampleSource {
 public:
  int64_t size() const override { return 4; }
  Status Load(int64_t, const SampleDraw&, std::span<SampleInput> inputs) override {
    for (SampleInput& input : inputs) {
      std::memset(input.data, static_cast<int>(input.role), 4);
    }
    return OkStatus();
  }
};

TEST(BatchLoaderTest, KnowsInputsByTheirRolesNotByTheirNames) {
  RoleSource source;
  LoaderOptions options =
      LoaderOptions::Eval({{"weight", {4}, DType::kF32, PortRole::kData},
                           {"tokens", {4}, DType::kI32, PortRole::kLabel},
                           {"share", {4}, DType::kF32, PortRole::kSampleWeight}},
                          4, 1);
  auto loader = BatchLoader::Create(&source, options);
  ASSERT_TRUE(loader.ok());
  const Batch& batch = *loader.value()->Next().value();
  const auto first = [&](const char* name) { return batch.Find(name)->data[0]; };
  EXPECT_EQ(first("weight"), static_cast<uint8_t>(PortRole::kData));
  EXPECT_EQ(first("tokens"), static_cast<uint8_t>(PortRole::kLabel));
  EXPECT_EQ(reinterpret_cast<const float*>(batch.Find("share")->data)[3], 1.0f);
}

TEST(BatchLoaderTest, RefusesWhatCannotBe) {
  TinySamples samples(4), none(0);
  const auto code = [](SampleSource* source, const LoaderOptions& options) {
    return BatchLoader::Create(source, options).status().code();
  };
  EXPECT_EQ(code(&none, Training(1)), StatusCode::kFailedPrecondition);
  LoaderOptions options = Training(5);
  options.drop_last = true;
  EXPECT_EQ(code(&samples, options), StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(&samples, Training(2, 0)), StatusCode::kInvalidArgument);
  options = Training(2);
  options.inputs[0].shape = {3, kTinyFeatures};
  EXPECT_EQ(code(&samples, options), StatusCode::kInvalidArgument);
  options.inputs[0].shape = {2, int64_t{1} << 40, int64_t{1} << 40};
  EXPECT_EQ(code(&samples, options), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pocketune::test
