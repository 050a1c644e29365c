// What `bench --profile` says: tables, JSON and the trace.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
using Args = std::vector<std::string>;
using Json = nlohmann::json;

class ProfileTest : public ::testing::Test {
 protected:
  static Args Bench(const Args& more) {
    Args args = {"bench", "--model", "small-cnn", "--batch", "2", "--steps", "3", "--warmup", "1"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
  std::string File(const std::string& name) const { return temp_.File(name); }

  // Runs with --profile: the JSON object, and in `err` what is for people.
  static Json Profile(Args more, std::string* err = nullptr) {
    more.insert(more.end(), {"--profile", "--json", "-"});
    const CommandResult result = RunPocketune(Bench(more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    if (err != nullptr) *err = result.err;
    const Json json = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(json.is_object() && json.contains("profile")) << result.out;
    return json;
  }

  static void ExpectBad(int code, const Args& more, const std::string& part) {
    const CommandResult result = RunPocketune(Bench(more));
    EXPECT_EQ(result.exit_code, code) << result.err;
    ExpectOneLine(result.err);
    EXPECT_THAT(result.err, HasSubstr(part));
  }

  TempFolder temp_;
};

double SumOf(const Json& rows, const char* field) {
  double sum = 0;
  for (const Json& row : rows) sum += row.at(field).get<double>();
  return sum;
}

// The lines between the one that begins with `head` and the next empty one, its second line left
// out: that names the columns.
std::vector<std::string> TableOf(const std::string& text, const std::string& head) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (inside && line.empty()) break;
    if (inside) lines.push_back(line);
    inside = inside || line.rfind(head, 0) == 0;
  }
  if (!lines.empty()) lines.erase(lines.begin());
  return lines;
}

TEST_F(ProfileTest, SumsAddUp) {
  const Json json = Profile({});
  const Json& profile = json["profile"];
  const Json& ops = profile["ops"];
  const Json& kernels = profile["kernels"];
  EXPECT_EQ(ops.size(), json["plan_steps"]);
  EXPECT_EQ(SumOf(kernels, "ops"), double(ops.size()));
  const double ms = profile["ops_ms"];
  EXPECT_GT(ms, 0);
  for (const Json* rows : {&ops, &kernels}) {
    EXPECT_NEAR(SumOf(*rows, "ms"), ms, 1e-9 * ms);
    EXPECT_NEAR(SumOf(*rows, "share"), 1.0, 1e-9);
    for (size_t i = 1; i < rows->size(); ++i) EXPECT_LE((*rows)[i]["ms"], (*rows)[i - 1]["ms"]);
  }
  const double macs = double(json["forward_macs"]) + double(json["backward_macs"]);
  EXPECT_EQ(SumOf(ops, "flop"), 2 * macs * double(json["batch"]));
  EXPECT_EQ(SumOf(kernels, "flop"), SumOf(ops, "flop"));
  EXPECT_EQ(SumOf(kernels, "bytes"), SumOf(ops, "bytes"));
  EXPECT_EQ(profile["step_ms"], json["step_ms_median"]);
}

TEST_F(ProfileTest, RatesFollowFromTimesAndPeaks) {
  const Json profile = Profile({})["profile"];
  const double gflops = profile["peak_gflop_per_s"], gbs = profile["copy_gb_per_s"];
  EXPECT_GT(gflops, 0);
  EXPECT_GT(gbs, 0);
  for (const Json& op : profile["ops"]) {
    const double ms = op["ms"];
    if (ms == 0) continue;
    EXPECT_NEAR(op["gflop_per_s"], double(op["flop"]) / ms * 1e-6, 1e-6 * gflops);
    EXPECT_NEAR(op["share_of_fma_peak"], double(op["gflop_per_s"]) / gflops, 1e-9);
    EXPECT_NEAR(op["gb_per_s"], double(op["bytes"]) / ms * 1e-6, 1e-6 * gbs);
    EXPECT_NEAR(op["share_of_copy_bandwidth"], double(op["gb_per_s"]) / gbs, 1e-9);
  }
}

TEST_F(ProfileTest, CountsEachOperandAndResultOnce) {
  const Json ops = Profile({})["profile"]["ops"];
  for (const Json& op : ops) {
    if (op["op"] != "relu_grad") continue;
    EXPECT_EQ(op["operands"].size(), 2u);
    EXPECT_EQ(op["operands"][0], op["results"][0]);
    const std::string type = op["results"][0];  // "f32[a,b,...]"
    int64_t bytes = 4;
    std::istringstream dims(type.substr(4));
    for (std::string dim; std::getline(dims, dim, ',');) bytes *= std::stoll(dim);
    EXPECT_EQ(op["bytes"], 3 * bytes) << type;
    EXPECT_EQ(op["flop"], 0);
  }
}

TEST_F(ProfileTest, TablesShowTheSlowestOpsAndAllKernels) {
  std::string text;
  const Json profile = Profile({"--top", "3"}, &text)["profile"];
  const std::vector<std::string> ops = TableOf(text, "slowest 3 ops");
  ASSERT_EQ(ops.size(), 3u) << text;
  for (size_t i = 0; i < ops.size(); ++i) {
    EXPECT_THAT(ops[i], HasSubstr(profile["ops"][i]["kernel"].get<std::string>()));
    EXPECT_THAT(ops[i], HasSubstr(profile["ops"][i]["results"][0].get<std::string>()));
  }
  const std::vector<std::string> kernels = TableOf(text, "by kernel");
  ASSERT_EQ(kernels.size(), profile["kernels"].size()) << text;
  for (size_t i = 0; i < kernels.size(); ++i) {
    EXPECT_THAT(kernels[i], HasSubstr(profile["kernels"][i]["kernel"].get<std::string>()));
  }
  const Json all = Profile({"--top", "0"}, &text)["profile"];
  EXPECT_EQ(TableOf(text, "slowest").size(), all["ops"].size());
}

TEST_F(ProfileTest, TheTraceHasOneCompleteEventPerOp) {
  const Json json = Profile({"--trace", File("trace.json")});
  std::ifstream file(File("trace.json"));
  const Json trace = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(trace.is_object());
  ASSERT_EQ(trace.size(), 2u);
  EXPECT_EQ(trace["displayTimeUnit"], "ms");
  const Json& events = trace["traceEvents"];
  ASSERT_EQ(events.size(), json["plan_steps"]);
  double end = 0;
  std::set<std::string> phases;
  for (const Json& event : events) {
    std::set<std::string> keys;
    for (const auto& [key, value] : event.items()) keys.insert(key);
    EXPECT_EQ(keys,
              (std::set<std::string>{"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"}));
    EXPECT_EQ(event["ph"], "X");
    EXPECT_GE(double(event["ts"]), end - 1e-3);  // one after the other
    EXPECT_GE(double(event["dur"]), 0);
    end = double(event["ts"]) + double(event["dur"]);
    phases.insert(event["cat"].get<std::string>());
    for (const char* arg : {"kernel", "loc", "operands", "results", "flop", "bytes"}) {
      EXPECT_TRUE(event["args"].contains(arg)) << arg;
    }
  }
  EXPECT_EQ(phases, (std::set<std::string>{"fwd", "bwd", "upd"}));
}

TEST_F(ProfileTest, WithoutTheFlagNothingIsProfiled) {
  const CommandResult result = RunPocketune(Bench({"--json", "-"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FALSE(Json::parse(result.out).contains("profile"));
  EXPECT_THAT(result.err, ::testing::Not(HasSubstr("by kernel")));
}

TEST_F(ProfileTest, BadFlagsAreRefusedInOneLine) {
  ExpectBad(2, {"--top", "3"}, "--profile");
  ExpectBad(2, {"--trace", File("x")}, "--profile");
  for (const char* top : {"-1", "two", "1.5", "99999999999999999999"}) {
    ExpectBad(2, {"--profile", "--top", top}, "--top");
  }
  const CommandResult many = RunPocketune(With(Bench({"--profile"}), "--steps", "10001"));
  EXPECT_EQ(many.exit_code, 2);
  ExpectOneLine(many.err);
  EXPECT_THAT(many.err, HasSubstr("--profile"));
  ExpectBad(6, {"--profile", "--quiet", "--trace", File("none/x")}, "none/x");
  EXPECT_FALSE(std::filesystem::exists(File("x")));
}

}  // namespace
}  // namespace pocketune::test
