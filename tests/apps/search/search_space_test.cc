#include "apps/search/search_space.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sparse_bp/memory_model.h"
#include "sparse_bp/published.h"
#include "sparse_bp/scheme.h"
#include "tests/apps/search/search_test_util.h"

namespace pocketune::test {
namespace {

// What the published scheme lets learn, as a choice in the search space.
Learning PublishedLearning(const std::string& name, int layers) {
  const absl::StatusOr<McunetV3Scheme> scheme = FindMcunetV3Scheme(name);
  EXPECT_TRUE(scheme.ok()) << scheme.status();
  Learning learning;
  for (int layer = 0; layer < layers; ++layer) {
    const LayerUpdate& update = scheme->layers[layer];
    if (update.bias) ++learning.biases;
    const bool channels = update.weight.kind == Update::kChannels;
    const double ratio = channels                             ? update.weight.ratio
                         : update.weight.kind == Update::kAll ? 1.0
                                                              : 0.0;
    if (ratio > 0) learning.weights.push_back({layer, ratio});
  }
  return learning;
}

int64_t BytesOf(const Model& model, const std::string& text) {
  Graph forward = model.impl().forward;
  const absl::StatusOr<UpdateScheme> scheme = ParseScheme(text);
  EXPECT_TRUE(scheme.ok()) << scheme.status();
  const absl::Status status = ApplyScheme(forward, *scheme);
  EXPECT_TRUE(status.ok()) << status;
  return McunetV3Memory(forward).bytes;
}

TEST(SearchSpaceTest, CostsOfChoicesAddUpToThePublishedSchemes) {
  for (const std::string& name : McunetV3SchemeNames()) {
    SCOPED_TRACE(name);
    const Model model = ModelOf(name.substr(0, name.rfind('-')));
    const SearchSpace space = SpaceOf(model);
    const Learning learning = PublishedLearning(name, space.layers());
    int64_t bytes = space.BiasBytes(learning.biases);
    for (const Learning::Weight& weight : learning.weights) {
      bytes += space.WeightBytes(weight.layer, weight.ratio);
    }
    EXPECT_EQ(bytes, BytesOf(model, "mcunetv3:" + name));
  }
}

TEST(SearchSpaceTest, TextAndFileOfASchemeAreTheSame) {
  const Model model = ModelOf("mbv2-w0.35");
  const SearchSpace space = SpaceOf(model);
  const Learning learning = {5, {{47, 0.25}, {48, 1.0}}};
  const absl::StatusOr<UpdateScheme> text = ParseScheme(space.SchemeText(learning));
  const absl::StatusOr<UpdateScheme> file =
      ParseSchemeJson(space.SchemeJson(learning).dump(), "file");
  ASSERT_TRUE(text.ok()) << text.status();
  ASSERT_TRUE(file.ok()) << file.status();
  Graph by_text = model.impl().forward, by_file = by_text;
  ASSERT_TRUE(ApplyScheme(by_text, *text).ok());
  ASSERT_TRUE(ApplyScheme(by_file, *file).ok());
  EXPECT_EQ(CountTrainableParams(by_text), CountTrainableParams(by_file));
  EXPECT_EQ(McunetV3Memory(by_text).bytes, McunetV3Memory(by_file).bytes);
  EXPECT_EQ(McunetV3Memory(by_text).bytes,
            space.BiasBytes(5) + space.WeightBytes(47, 0.25) + space.WeightBytes(48, 1.0));
  EXPECT_EQ(file->model, "mbv2-w0.35");
}

TEST(SearchSpaceTest, NothingChosenIsTheClassifierAlone) {
  const Model model = ModelOf("small-cnn");
  EXPECT_EQ(SpaceOf(model).SchemeText({}), "head");
}

}  // namespace
}  // namespace pocketune::test
