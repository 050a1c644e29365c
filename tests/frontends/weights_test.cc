#include "frontends/weights/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>

#include "frontends/weights/safetensors.h"
#include "frontends/zoo/zoo.h"
#include "tests/frontends/weights_test_util.h"

namespace pocketune {
namespace {

using test::Initialized;
using test::TempPath;
using test::TensorsOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void Spit(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(SafetensorsTest, GivesBackWhatWasWritten) {
  const std::string path = TempPath("roundtrip.safetensors");
  ASSERT_TRUE(WriteSafetensors(path, {{"b", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"a", {}, {7}}}).ok());
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_NE(file->Find("b"), nullptr);
  EXPECT_THAT(file->Find("b")->shape, ElementsAre(2, 3));
  EXPECT_THAT(*file->Read(*file->Find("b")), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(*file->Read(*file->Find("a")), ElementsAre(7));
  EXPECT_EQ(file->Find("c"), nullptr);
}

TEST(SafetensorsTest, ReadsHalfPrecision) {
  const std::string header = R"({"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},)"
                             R"("b":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  bytes += header;
  // 1.0, -2.0, the smallest subnormal, 65504 in half; 1.5 in bfloat16.
  for (int word : {0x3c00, 0xc000, 0x0001, 0x7bff, 0x3fc0}) {
    bytes.push_back(static_cast<char>(word & 255));
    bytes.push_back(static_cast<char>(word >> 8));
  }
  const std::string path = TempPath("half.safetensors");
  Spit(path, bytes);
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(*file->Read(*file->Find("h")), ElementsAre(1.0f, -2.0f, 0x1p-24f, 65504.0f));
  EXPECT_THAT(*file->Read(*file->Find("b")), ElementsAre(1.5f));
}

TEST(SafetensorsTest, RefusesEveryTruncation) {
  const std::string path = TempPath("whole.safetensors");
  ASSERT_TRUE(WriteSafetensors(path, {{"a", {3}, {1, 2, 3}}, {"b", {2}, {4, 5}}}).ok());
  const std::string whole = Slurp(path);
  const std::string cut = TempPath("cut.safetensors");
  for (size_t n = 0; n < whole.size(); ++n) {
    Spit(cut, whole.substr(0, n));
    EXPECT_FALSE(SafetensorsFile::Open(cut).ok()) << n;
  }
  Spit(cut, whole + "x");
  EXPECT_FALSE(SafetensorsFile::Open(cut).ok());
}

TEST(SafetensorsTest, NeverCrashesOnADamagedHeader) {
  const std::string path = TempPath("good.safetensors");
  ASSERT_TRUE(WriteSafetensors(path, {{"a", {3}, {1, 2, 3}}}).ok());
  const std::string whole = Slurp(path);
  const std::string bad = TempPath("bad.safetensors");
  const size_t header_end = whole.size() - 12;
  for (size_t i = 0; i < header_end; ++i) {
    for (int flip : {1, 16, 128}) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      Spit(bad, bytes);
      const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(bad);
      if (!file.ok()) continue;
      // A flip may hit a name or the free-form part; what is accepted must still be readable.
      for (const WeightsEntry& entry : file->entries()) file->Read(entry).IgnoreError();
    }
  }
}

TEST(SafetensorsTest, RefusesOverlapsAndDuplicates) {
  const auto with_header = [](const std::string& header, size_t data) {
    std::string bytes(8, '\0');
    bytes[0] = static_cast<char>(header.size());
    const std::string path = TempPath("crafted.safetensors");
    Spit(path, bytes + header + std::string(data, '\0'));
    return SafetensorsFile::Open(path).status();
  };
  EXPECT_THAT(std::string(with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                      4)
                              .message()),
              HasSubstr("overlaps"));
  EXPECT_THAT(std::string(with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                      R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                      4)
                              .message()),
              HasSubstr("twice"));
  EXPECT_FALSE(
      with_header(R"({"a":{"dtype":"F32","shape":[1099511627776,4],"data_offsets":[0,4]}})", 4)
          .ok());
}

TEST(WeightsTest, GiveBackWhatAModelWasMadeOf) {
  const Graph source = Initialized({.name = "ds-cnn"}, 3);
  const std::string path = TempPath("ds.safetensors");
  ASSERT_TRUE(WriteSafetensors(path, TensorsOf(source)).ok());
  absl::StatusOr<Graph> graph = BuildModel({.name = "ds-cnn"});
  ASSERT_TRUE(graph.ok());
  WeightsReport report;
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(LoadWeights(*graph, *file, &report).ok());
  EXPECT_FALSE(report.new_classifier);
  for (size_t i = 0; i < source.values.size(); ++i) {
    if (source.values[i].kind != ValueKind::kParam) continue;
    EXPECT_EQ(*graph->values[i].data, *source.values[i].data) << source.values[i].name;
  }
}

TEST(WeightsTest, PermuteConvolutionsAsPyTorchDoes) {
  Graph graph;
  const ValueId conv =
      graph.AddParam("w", Shape{2, 1, 2, 3}, ParamRole::kWeight, nullptr, ParamLayout::kConv);
  EXPECT_THAT(TorchShape(graph.value(conv)), ElementsAre(2, 3, 1, 2));
  // OIHW element (o, i, 0, w) is o * 6 + i * 2 + w.
  EXPECT_THAT(FromTorch(graph.value(conv), {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}),
              ElementsAre(0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11));
  const ValueId depthwise =
      graph.AddParam("d", Shape{1, 2, 3}, ParamRole::kWeight, nullptr, ParamLayout::kDepthwise);
  EXPECT_THAT(TorchShape(graph.value(depthwise)), ElementsAre(3, 1, 1, 2));
  EXPECT_THAT(FromTorch(graph.value(depthwise), {0, 1, 2, 3, 4, 5}), ElementsAre(0, 2, 4, 1, 3, 5));
}

TEST(WeightsTest, LeaveParametersOfOtherLayersAsTheyAre) {
  Graph graph;
  const ValueId three = graph.AddParam("p", Shape{1, 2, 3}, ParamRole::kWeight, nullptr);
  EXPECT_THAT(TorchShape(graph.value(three)), ElementsAre(1, 2, 3));
  EXPECT_THAT(FromTorch(graph.value(three), {0, 1, 2, 3, 4, 5}), ElementsAre(0, 1, 2, 3, 4, 5));
  const ValueId four = graph.AddParam("q", Shape{1, 2, 1, 3}, ParamRole::kWeight, nullptr);
  EXPECT_THAT(TorchShape(graph.value(four)), ElementsAre(1, 2, 1, 3));
  EXPECT_THAT(ToTorch(graph.value(four), {0, 1, 2, 3, 4, 5}), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(WeightsTest, AClassifierOfOtherClassesIsNewAndSaidSo) {
  const std::string path = TempPath("classes.safetensors");
  ASSERT_TRUE(WriteSafetensors(path, TensorsOf(Initialized({.name = "resnet8"}, 3))).ok());
  WeightsReport report;
  Outcome<ZooModel> model = BuildZooModel({.name = "resnet8", .classes = 4}, path, 5, &report);
  ASSERT_TRUE(model.ok()) << model.message();
  EXPECT_TRUE(report.new_classifier);
  EXPECT_THAT(report.Lines(), testing::Contains(HasSubstr("initialised anew")));
}

TEST(WeightsTest, NameWhatIsMissingOrOfAnotherShape) {
  std::vector<SafetensorsTensor> tensors = TensorsOf(Initialized({.name = "resnet8"}, 3));
  tensors[0].shape = {16, 3, 3};
  tensors[0].values.resize(16 * 9);
  const std::string path = TempPath("shapes.safetensors");
  ASSERT_TRUE(WriteSafetensors(path, tensors).ok());
  WeightsReport report;
  Outcome<ZooModel> model = BuildZooModel({.name = "resnet8"}, path, 5, &report);
  EXPECT_THAT(model.message(), HasSubstr("stem.weight (got [16,3,3], want [16,3,3,3])"));
  tensors.erase(tensors.begin());
  ASSERT_TRUE(WriteSafetensors(path, tensors).ok());
  model = BuildZooModel({.name = "resnet8"}, path, 5, &report);
  EXPECT_THAT(model.message(), HasSubstr("missing, the first is stem.weight"));
  EXPECT_EQ(BuildZooModel({.name = "resnet8"}, "/no/such/file", 5, nullptr).code(),
            StatusCode::kNotFound);
}

TEST(WeightsTest, ValuesThatAreNotFiniteAreRefusedAndNamed) {
  for (const float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
    std::vector<SafetensorsTensor> tensors = TensorsOf(Initialized({.name = "resnet8"}, 3));
    tensors[1].values[3] = bad;
    const std::string path = TempPath("bad.safetensors");
    ASSERT_TRUE(WriteSafetensors(path, tensors).ok());
    Outcome<ZooModel> model = BuildZooModel({.name = "resnet8"}, path, 5, nullptr);
    EXPECT_EQ(model.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(model.message(), path + ": tensor " + tensors[1].name +
                                   " has values that are not finite (got 1 of 16, want none)");
    tensors.back().values[0] = bad;
    tensors.back().values[1] = bad;
    ASSERT_TRUE(WriteSafetensors(path, tensors).ok());
    model = BuildZooModel({.name = "resnet8"}, path, 5, nullptr);
    EXPECT_THAT(model.message(), HasSubstr("(got 1 of 16, want none), and so has 1 more tensor"));
  }
}

TEST(WeightsTest, VariancesBelowZeroAreRefused) {
  std::vector<SafetensorsTensor> tensors = TensorsOf(Initialized({.name = "small-cnn"}, 3));
  for (SafetensorsTensor& tensor : tensors) {
    if (tensor.name == "stem.bn.running_mean") tensor.values[2] = -1;
    if (tensor.name == "stem.bn.running_var") tensor.values[2] = -1;
  }
  const std::string path = TempPath("variance.safetensors");
  ASSERT_TRUE(WriteSafetensors(path, tensors).ok());
  EXPECT_THAT(BuildZooModel({.name = "small-cnn"}, path, 5, nullptr).message(),
              HasSubstr("tensor stem.bn.running_var has variances below 0 (got 1 of 16"));
}

TEST(WeightsTest, NumbersBeyondFloatAreNotFinite) {
  const std::string header = R"({"h":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  bytes += header;
  const double huge = std::numeric_limits<double>::max();
  bytes.append(reinterpret_cast<const char*>(&huge), sizeof huge);
  const std::string path = TempPath("huge.safetensors");
  Spit(path, bytes);
  Graph graph;
  graph.AddParam("h", Shape{1}, ParamRole::kBias, nullptr);
  WeightsReport report;
  EXPECT_THAT(std::string(LoadWeights(graph, *SafetensorsFile::Open(path), &report).message()),
              HasSubstr("tensor h has values that are not finite"));
}

TEST(WeightsTest, TheReportSaysWhichParametersHaveGivenValues) {
  const std::string path = TempPath("given.safetensors");
  ASSERT_TRUE(WriteSafetensors(path, TensorsOf(Initialized({.name = "resnet8"}, 3))).ok());
  const auto load = [](const ModelSpec& spec, const std::string& weights, WeightsReport* report) {
    return BuildZooModel(spec, weights, 5, report).value().given;
  };
  WeightsReport report;
  EXPECT_EQ(load({.name = "resnet8"}, path, &report), GivenWeights::kAll);
  EXPECT_EQ(report.classes, 0);
  EXPECT_EQ(load({.name = "resnet8"}, "", nullptr), GivenWeights::kNone);
  EXPECT_EQ(load({.name = "resnet8", .classes = 3}, path, &report),
            GivenWeights::kAllButClassifier);
  EXPECT_EQ(report.classes, 10);
}

TEST(SafetensorsTest, MessagesCarryNamesAsTheyAre) {
  const std::string path = TempPath("quotes.safetensors");
  Spit(path, "short");
  EXPECT_EQ(SafetensorsFile::Open(path).status().message(),
            path + ": not a safetensors file: the header's length is beyond the file");
  const std::string header = R"({"it's \"é\"\n":{"dtype":"X9","shape":[1],"data_offsets":[0,4]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  Spit(path, bytes + header + "0000");
  EXPECT_EQ(SafetensorsFile::Open(path).status().message(),
            path + ": tensor it's \"é\"\\n has an unknown type X9");
}

TEST(WeightsTest, FoldedFilesBuildFoldedModels) {
  const std::string path = TempPath("folded.safetensors");
  ASSERT_TRUE(
      WriteSafetensors(path, TensorsOf(Initialized({.name = "mcunet-in0", .folded_norm = true}, 3)))
          .ok());
  Outcome<ZooModel> model = BuildZooModel({.name = "mcunet-in0"}, path, 5, nullptr);
  ASSERT_TRUE(model.ok()) << model.message();
  EXPECT_TRUE(model->spec.folded_norm);
}

}  // namespace
}  // namespace pocketune
