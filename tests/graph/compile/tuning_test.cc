#include "pocketune/tuning.h"

#include <gtest/gtest.h>

#include <string>

#include "backends/cpu/cpu_kernels.h"
#include "pocketune/compiler.h"
#include "pocketune/zoo.h"

namespace pocketune {
namespace {

Tuning Example() {
  Tuning tuning;
  tuning.cpu = "A \"fast\" one";
  tuning.isa = NameOf(CurrentIsa());
  tuning.threads = 2;
  tuning.entries["conv2d(f32[1,8,8,3], const f32[4,1,1,3])"] = {
      "cpu.conv2d", {{"xnn.conv2d", 1250.5}, {"cpu.conv2d", 1000}}};
  tuning.entries["matmul(f32[1,8], const f32[4,8]) {trans_b=true}"] = {"xnn.matmul",
                                                                       {{"xnn.matmul", 0}}};
  return tuning;
}

Outcome<Plan> CompileWith(const Tuning& tuning, int threads) {
  const Outcome<ZooModel> model = BuildZooModel({.name = "small-cnn"}, "", 1, nullptr);
  return Compile(model->model, {.scheme = "head"}, {.threads = threads, .tuning = &tuning});
}

TEST(TuningTest, ComesBackFromItsText) {
  const Tuning tuning = Example();
  const std::string text = ToJson(tuning);
  const Outcome<Tuning> back = ParseTuning(text, "t.json");
  ASSERT_TRUE(back.ok()) << back.message();
  EXPECT_EQ(back.value().cpu, tuning.cpu);
  EXPECT_EQ(back.value().isa, tuning.isa);
  EXPECT_EQ(back.value().threads, 2);
  ASSERT_EQ(back.value().entries.size(), 2u);
  for (const auto& [op, entry] : tuning.entries) {
    const Tuning::Entry& same = back.value().entries.at(op);
    EXPECT_EQ(same.kernel, entry.kernel);
    EXPECT_EQ(same.ns, entry.ns);
  }
  EXPECT_EQ(ToJson(back.value()), text);
}

TEST(TuningTest, RefusesEveryBeginningOfATable) {
  const std::string text = ToJson(Example());
  const size_t end = text.find_last_of('}');
  for (size_t length = 0; length <= end; ++length) {
    const Outcome<Tuning> tuning = ParseTuning(text.substr(0, length), "t.json");
    ASSERT_EQ(tuning.code(), StatusCode::kDataLoss) << length;
    ASSERT_EQ(tuning.message().rfind("t.json: ", 0), 0u) << tuning.message();
  }
}

TEST(TuningTest, RefusesWhatIsOfAWrongKind) {
  const std::string text = ToJson(Example());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return changed.replace(at, from.size(), to);
  };
  for (const std::string& bad :
       {std::string("[]"), std::string("7"), with("\"version\": 1", "\"version\": 2"),
        with("\"threads\": 2", "\"threads\": 1.5"), with("\"isa\"", "\"level\""),
        with("\"cpu\"", "\"processor\""), with("\"entries\": [", "\"entries\": [3,"),
        with("1250.5", "-1250.5"), with("1250.5", "\"soon\""), with("1250.5", "null"),
        with("\"kernel\": \"cpu.conv2d\"", "\"kernel\": \"cpu.other\""),
        with("matmul(f32[1,8], const f32[4,8]) {trans_b=true}",
             "conv2d(f32[1,8,8,3], const f32[4,1,1,3])")}) {
    EXPECT_EQ(ParseTuning(bad, "t.json").code(), StatusCode::kDataLoss) << bad;
  }
}

TEST(TuningTest, AFileThatIsNotThereIsNotFound) {
  EXPECT_EQ(ReadTuning("/nowhere/t.json").code(), StatusCode::kNotFound);
}

TEST(TuningTest, HoldsForItsInstructionSetAndThreads) {
  const Tuning tuning = Example();
  EXPECT_TRUE(CompileWith(tuning, 2).ok());
  const Outcome<Plan> threads = CompileWith(tuning, 3);
  EXPECT_EQ(threads.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(threads.message().find("tuning: measured at another"), std::string::npos);
  Tuning other = tuning;
  other.isa = "none";
  EXPECT_EQ(CompileWith(other, 2).code(), StatusCode::kInvalidArgument);
}

TEST(TuningTest, ATableThatSaysNothingOfAModelChangesNothing) {
  const Outcome<ZooModel> model = BuildZooModel({.name = "small-cnn"}, "", 1, nullptr);
  const Outcome<Plan> plain = Compile(model->model, {.scheme = "head"}, {.threads = 2});
  const Outcome<Plan> tuned = CompileWith(Example(), 2);
  ASSERT_TRUE(plain.ok() && tuned.ok());
  EXPECT_TRUE(plain.value().bytes == tuned.value().bytes);
}

}  // namespace
}  // namespace pocketune
