#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class InferTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    temp_ = new TempFolder;
    data::WriteImageFolder(File("photos"), 6);
    ASSERT_EQ(RunPocketune(TrainArgs(File("photos"), File("run"))).exit_code, 0);
    data::WriteFile(File("empty.jpg"), data::Bytes{});
    data::WriteFile(File("note.jpg"), "no picture");
    data::Bytes cut = data::EncodeJpeg(data::MakeImage(61, 67, 3, 5));
    cut.resize(cut.size() / 2);
    data::WriteFile(File("cut.jpg"), cut);
  }
  static void TearDownTestSuite() { delete temp_; }

  static std::string File(const std::string& name) { return temp_->File(name); }
  static std::string Photo(int i) { return File("photos/bee/00" + std::to_string(i) + ".jpg"); }

  static CommandResult Infer(const std::vector<std::string>& files) {
    std::vector<std::string> args = {"infer", "--checkpoint", File("run"), "--json", "-"};
    args.insert(args.end(), files.begin(), files.end());
    return RunPocketune(args);
  }

 private:
  static inline TempFolder* temp_ = nullptr;
};

// "photos" is a folder, "none.jpg" is not there.
class InferBadFileTest : public InferTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(InferBadFileTest, CostsNoOtherPictureItsAnswer) {
  // The run's batch is 4: the bad file comes first, within a batch, or alone in the last one.
  const std::string bad = File(GetParam());
  for (size_t place : {size_t{0}, size_t{2}, size_t{4}}) {
    std::vector<std::string> good, files;
    for (int i = 0; i < 4; ++i) good.push_back(Photo(i));
    files = good;
    files.insert(files.begin() + long(place), bad);
    Json want = Json::parse(Infer(good).out)["predictions"];
    const CommandResult result = Infer(files);
    EXPECT_EQ(result.exit_code, 4) << result.err;
    Json got = Json::parse(result.out)["predictions"];
    ASSERT_EQ(got.size(), 5u);
    EXPECT_EQ(got[place]["file"], bad);
    EXPECT_THAT(got[place]["error"].get<std::string>(), HasSubstr(GetParam()));
    EXPECT_FALSE(got[place].contains("top"));
    EXPECT_THAT(result.err, HasSubstr("pocketune: " + bad + ": "));
    got.erase(place);
    EXPECT_EQ(got, want);
  }
}

TEST_P(InferBadFileTest, IsOneLineOnStandardErrorAloneOrAmongOthers) {
  for (const std::vector<std::string>& files :
       {std::vector<std::string>{File(GetParam())},
        std::vector<std::string>{Photo(0), File(GetParam()), Photo(1)}}) {
    std::vector<std::string> args = {"infer", "--checkpoint", File("run"), "--quiet"};
    args.insert(args.end(), files.begin(), files.end());
    const CommandResult result = RunPocketune(args);
    EXPECT_EQ(result.exit_code, 4);
    ExpectOneLine(result.err);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, InferBadFileTest,
                         ::testing::Values("empty.jpg", "note.jpg", "cut.jpg", "none.jpg",
                                           "photos"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name.substr(0, name.find('.'));
                         });

TEST_F(InferTest, AnswersForAPictureTheSameInWhateverCompany) {
  std::vector<std::string> files;
  for (int i = 0; i < 5; ++i) files.push_back(Photo(i));  // the run's batch is 4
  const Json all = Json::parse(Infer(files).out)["predictions"];
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(Json::parse(Infer({files[i]}).out)["predictions"][0], all[i]) << files[i];
  }
}

TEST_F(InferTest, NamesEveryBadFile) {
  const CommandResult result =
      Infer({File("empty.jpg"), Photo(0), File("cut.jpg"), File("note.jpg")});
  EXPECT_EQ(result.exit_code, 4);
  for (const char* name : {"empty.jpg: ", "cut.jpg: ", "note.jpg: "}) {
    EXPECT_THAT(result.err, HasSubstr(name));
  }
}

TEST_F(InferTest, SeesATurnedPictureAsItIsHeld) {
  const data::Image seen = data::MakeImage(13, 11, 3, 4);
  data::Image stored = seen;
  std::reverse(stored.pixels.begin(), stored.pixels.end());
  for (size_t i = 0; i < stored.pixels.size(); i += 3) {
    std::swap(stored.pixels[i], stored.pixels[i + 2]);
  }
  data::WriteFile(File("seen.png"), data::EncodePng(seen));
  data::WriteFile(File("held.png"),
                  data::WithChunk(data::EncodePng(stored), "eXIf", data::MakeExif(3, false)));
  const Json got = Json::parse(Infer({File("seen.png"), File("held.png")}).out)["predictions"];
  EXPECT_EQ(got[0]["top"], got[1]["top"]);
}

}  // namespace
}  // namespace pocketune::test
