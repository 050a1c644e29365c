#include "frontends/weights/fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/frontends/weights_test_util.h"

namespace pocketune {
namespace {

using test::Initialized;
using test::TensorsOf;
using test::WriteTensors;
using testing::HasSubstr;

// What the file of a model's weights says to somebody who asks for another.
std::string Refusal(const ModelSpec& of_file, const ModelSpec& asked) {
  const std::string path = WriteTensors(TensorsOf(Initialized(of_file, 3)));
  const Outcome<ZooModel> model = BuildZooModel(asked, path, 5, nullptr);
  EXPECT_FALSE(model.ok());
  return model.ok() ? "" : model.message();
}

TEST(FitTest, AFileOfAnotherModelSaysWhatItHasAndWhatItFits) {
  const std::string refusal = Refusal(
      {.name = "mlp", .resolution = 16, .input_channels = 3, .classes = 2}, {.name = "small-cnn"});
  EXPECT_THAT(refusal, HasSubstr("the file has 6 tensors (classifier.bias [2], "));
  EXPECT_THAT(refusal,
              HasSubstr("fits --model mlp --resolution 16 --input-channels 3 --classes 2"));
}

TEST(FitTest, TheWidthIsFound) {
  for (const auto& [width, text] :
       {std::pair(0.35, "0.35"), std::pair(0.5, "0.5"), std::pair(1.4, "1.4")}) {
    EXPECT_THAT(
        Refusal({.name = "mobilenet_v2", .width = width, .classes = 7},
                {.name = "mobilenet_v2", .classes = 7}),
        HasSubstr(std::string("fits --model mobilenet_v2 --width ") + text + " --classes 7"));
  }
  EXPECT_THAT(Refusal({.name = "mobilenet_v2"}, {.name = "mobilenet_v2", .width = 0.5}),
              HasSubstr("fits --model mobilenet_v2 --classes 1000"));
}

TEST(FitTest, EachModelOfTheZooIsFoundByItsWeights) {
  for (const ZooEntry& entry : Zoo()) {
    if (std::string(entry.name).rfind("resnet50", 0) == 0) continue;  // 100 MB
    const std::string path = WriteTensors(TensorsOf(Initialized({.name = entry.name}, 3)));
    const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
    const std::optional<ModelSpec> fit = FindFit(*file, {.name = "ds-cnn"});
    ASSERT_TRUE(fit.has_value()) << entry.name;
    // Of two names for the same layers the first is as good.
    const bool twin = std::string(entry.name) == "mcunet-5fps";
    EXPECT_EQ(fit->name, twin ? "mcunet-in1" : entry.name);
    EXPECT_EQ(fit->classes, entry.classes);
    EXPECT_EQ(fit->input_channels, entry.channels);
  }
}

bool Folded(const std::string& model, const std::vector<SafetensorsTensor>& tensors) {
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(WriteTensors(tensors));
  EXPECT_TRUE(file.ok()) << file.status();
  const absl::StatusOr<bool> folded = HasFoldedNorm({.name = model}, *file);
  EXPECT_TRUE(folded.ok()) << folded.status();
  return folded.ok() && *folded;
}

TEST(FitTest, FoldedNormsAreToldByTheModelsOwnParameters) {
  for (const char* model : {"mbv2-w0.35", "resnet8", "ds-cnn", "ad-autoencoder"}) {
    EXPECT_FALSE(Folded(model, TensorsOf(Initialized({.name = model}, 3)))) << model;
    EXPECT_TRUE(Folded(model, TensorsOf(Initialized({.name = model, .folded_norm = true}, 3))))
        << model;
  }
  EXPECT_FALSE(Folded("mlp", TensorsOf(Initialized({.name = "mlp"}, 3))));
  // A patch convolution with a bias, of a model that the zoo does not have.
  const std::vector<SafetensorsTensor> patches = {
      {"patch_embed.proj.weight", {2, 3, 2, 2}, std::vector<float>(24)},
      {"patch_embed.proj.bias", {2}, {0, 0}}};
  EXPECT_FALSE(Folded("resnet18", patches));
}

TEST(FitTest, FoldedFilesAndWordsBeforeNamesDoNotHideTheModel) {
  auto tensors =
      TensorsOf(Initialized({.name = "mbv2-w0.35", .classes = 5, .folded_norm = true}, 3));
  for (SafetensorsTensor& tensor : tensors) tensor.name = "module." + tensor.name;
  const Outcome<ZooModel> model =
      BuildZooModel({.name = "resnet8"}, WriteTensors(tensors), 5, nullptr);
  EXPECT_THAT(model.message(), HasSubstr("fits --model mbv2-w0.35 --classes 5"));
}

TEST(FitTest, AFileOfNoModelSaysSo) {
  const std::string path = WriteTensors({{"a\n", {2}, {1, 2}}, {"b", {}, {3}}});
  const Outcome<ZooModel> model = BuildZooModel({.name = "resnet8"}, path, 5, nullptr);
  EXPECT_THAT(model.message(),
              HasSubstr("the file has 2 tensors (a\\n [2], b []) and fits no model of the zoo"));
}

}  // namespace
}  // namespace pocketune
