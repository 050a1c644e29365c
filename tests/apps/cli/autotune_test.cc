// `bench --autotune` and `--tuning`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
using Args = std::vector<std::string>;
using Json = nlohmann::json;

class AutotuneTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    temp_ = new TempFolder;
    const CommandResult result = RunPocketune(Bench({"--autotune", "--out", File("t.json")}));
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("ops that several kernels serve"));
  }
  static void TearDownTestSuite() { delete temp_; }

  static std::string File(const std::string& name) { return temp_->File(name); }
  static Args Model() {
    return {"--model", "small-cnn", "--batch", "2", "--scheme", "head", "--threads", "2"};
  }
  static Args Bench(const Args& more) {
    Args args = {"bench", "--steps", "2", "--warmup", "0"};
    for (const Args& part : {Model(), more}) args.insert(args.end(), part.begin(), part.end());
    return args;
  }
  static Json Table() { return Json::parse(std::ifstream(File("t.json"))); }
  static void Write(const std::string& name, const std::string& text) {
    std::ofstream(File(name)) << text;
  }

  // Kernels of a plan that is compiled with the table.
  static std::set<std::string> KernelsWith(const std::string& table) {
    Args args = {"compile", "--tuning", table, "--out", File("plan")};
    const Args model = Model();
    args.insert(args.end(), model.begin(), model.end());
    const CommandResult compiled = RunPocketune(args);
    EXPECT_EQ(compiled.exit_code, 0) << compiled.err;
    const CommandResult shown = RunPocketune({"inspect", File("plan"), "--ops", "--json", "-"});
    std::set<std::string> kernels;
    const Json json = Json::parse(shown.out, nullptr, /*allow_exceptions=*/false);
    for (const Json& row : json["schedules"]["train"]["ops"]) {
      kernels.insert(row["kernel"].get<std::string>());
    }
    return kernels;
  }

  static void ExpectBad(int code, const Args& args, const std::string& part) {
    const CommandResult result = RunPocketune(args);
    EXPECT_EQ(result.exit_code, code) << result.err;
    ExpectOneLine(result.err);
    EXPECT_THAT(result.err, HasSubstr(part));
  }

  static TempFolder* temp_;
};
TempFolder* AutotuneTest::temp_ = nullptr;

TEST_F(AutotuneTest, TheTableSaysWhatWasMeasured) {
  const Json table = Table();
  EXPECT_EQ(table["version"], 1);
  EXPECT_EQ(table["threads"], 2);
  EXPECT_FALSE(table["cpu"].get<std::string>().empty());
  EXPECT_FALSE(table["isa"].get<std::string>().empty());
  for (const Json& entry : table["entries"]) {
    EXPECT_GE(entry["ns"].size(), 2u);
    const double chosen = entry["ns"].at(entry["kernel"].get<std::string>());
    EXPECT_GT(chosen, 0);
    for (const auto& [kernel, ns] : entry["ns"].items()) {
      EXPECT_LE(chosen * 0.97, ns.get<double>()) << kernel;
    }
  }
}

#ifdef POCKETUNE_XNNPACK
TEST_F(AutotuneTest, PlansTakeTheKernelsOfTheTable) {
  Json table = Table();
  ASSERT_GT(table["entries"].size(), 0u);
  for (const std::string backend : {"cpu.", "xnn."}) {
    for (Json& entry : table["entries"]) {
      for (const auto& [kernel, ns] : entry["ns"].items()) {
        if (kernel.rfind(backend, 0) == 0) entry["kernel"] = kernel;
      }
    }
    Write("forced.json", table.dump());
    const std::set<std::string> kernels = KernelsWith(File("forced.json"));
    const bool any_xnn = std::any_of(kernels.begin(), kernels.end(), [](const std::string& name) {
      return name.rfind("xnn.", 0) == 0;
    });
    EXPECT_EQ(any_xnn, backend == "xnn.") << ::testing::PrintToString(kernels);
  }
}
#endif

TEST_F(AutotuneTest, TrainAndBenchTakeTheTable) {
  WriteIdxFolder(File("data"));
  Args train = TrainArgs(File("data"), File("run"));
  train.insert(train.end(), {"--tuning", File("t.json")});
  EXPECT_EQ(RunPocketune(train).exit_code, 0);
  const CommandResult bench = RunPocketune(Bench({"--tuning", File("t.json"), "--json", "-"}));
  EXPECT_EQ(bench.exit_code, 0) << bench.err;
  EXPECT_EQ(Json::parse(bench.out)["tuning"], File("t.json"));
}

TEST_F(AutotuneTest, ATableOfAnotherMachineLevelOrThreadsIsRefusedOrSaid) {
  ExpectBad(2, With(Bench({"--tuning", File("t.json")}), "--threads", "1"), "measure again");
  Json table = Table();
  table["isa"] = "other";
  Write("other.json", table.dump());
  ExpectBad(2, Bench({"--tuning", File("other.json")}), "measure again");
  table = Table();
  table["cpu"] = "another";
  Write("other.json", table.dump());
  const CommandResult result = RunPocketune(Bench({"--tuning", File("other.json")}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("warning: "));
}

TEST_F(AutotuneTest, BadTablesAndFlagsAreRefusedInOneLine) {
  ExpectBad(3, Bench({"--tuning", File("none.json")}), "none.json");
  Write("bad.json", "{\"version\": 1");
  ExpectBad(3, Bench({"--tuning", File("bad.json")}), "bad.json");
  Write("bad.json", "");
  ExpectBad(3, Bench({"--tuning", File("bad.json")}), "bad.json");
  Json table = Table();
  if (!table["entries"].empty()) {
    table["entries"][0]["kernel"] = "cpu.none";
    table["entries"][0]["ns"]["cpu.none"] = 1;
    Write("bad.json", table.dump());
    ExpectBad(2, Bench({"--tuning", File("bad.json")}), "cpu.none");
  }
  ExpectBad(2, Bench({"--out", File("x")}), "--autotune");
  ExpectBad(2, Bench({"--autotune", "--tuning", File("t.json")}), "--");
  ExpectBad(6, Bench({"--quiet", "--autotune", "--out", File("none/x")}), "none/x");
  EXPECT_FALSE(std::filesystem::exists(File("x")));
}

}  // namespace
}  // namespace pocketune::test
