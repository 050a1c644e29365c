#include "apps/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>

#include "tests/support/temp_folder.h"

namespace pocketune {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// With plain spaces for no-break ones.
std::string Plain(std::string page) {
  const std::string kNoBreak = "\u00A0";
  for (size_t at; (at = page.find(kNoBreak)) != std::string::npos;) {
    page.replace(at, kNoBreak.size(), 1, ' ');
  }
  return page;
}

std::string Render(const ReportInput& input) {
  const test::TempFolder folder;
  const std::string path = folder.File("report.html");
  const absl::Status status = WriteReport(input, path);
  EXPECT_TRUE(status.ok()) << status;
  std::ifstream in(path, std::ios::binary);
  std::string page{std::istreambuf_iterator<char>(in), {}};
  return Plain(std::move(page));
}

// "" where each tag that opens is closed in turn, else the first that is not.
std::string Unbalanced(const std::string& page) {
  const std::set<std::string> kVoid = {"!DOCTYPE", "meta", "br"};
  std::vector<std::string> open;
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at)) {
    const size_t end = page.find('>', at);
    if (end == std::string::npos) return page.substr(at);
    const std::string tag = page.substr(at + 1, end - at - 1);
    at = end;
    const bool closes = tag.starts_with('/');
    const std::string name = tag.substr(closes, tag.find_first_of(" \n", closes) - closes);
    if (kVoid.count(name) > 0 || tag.ends_with('/')) continue;
    if (!closes) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return page.substr(end - tag.size(), 80);
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back();
}

size_t CountOf(const std::string& page, const std::string& what) {
  size_t count = 0;
  for (size_t at = page.find(what); at != std::string::npos; at = page.find(what, at + 1)) ++count;
  return count;
}

json Buffer(const std::string& name, int first, int last, int offset, int bytes, bool scratch) {
  return {{"name", name},     {"first", first}, {"last", last},
          {"offset", offset}, {"bytes", bytes}, {"scratch", scratch}};
}

json SampleMap() {
  return {
      {"arena_bytes", 3072},
      {"lower_bound_bytes", 2048},
      {"peak_step", 2},
      {"phases",
       {{{"phase", "fwd"}, {"first", 0}, {"last", 1}},
        {{"phase", "bwd"}, {"first", 2}, {"last", 3}},
        {{"phase", "upd"}, {"first", 4}, {"last", 4}}}},
      {"live_bytes", {1024, 1536, 2048, 1024, 512}},
      {"steps", {{{"op", "conv2d"}, {"loc", "stem"}}, {}, {{"op", "relu_grad"}, {"loc", "b1"}}}},
      {"buffers",
       {Buffer("kept", 0, 3, 0, 1024, false), Buffer("brief", 0, 1, 1024, 512, false),
        Buffer("gradient", 2, 4, 1536, 512, false), Buffer("room", 1, 1, 2048, 128, true)}}};
}

ReportInput Sample() {
  ReportInput input;
  input.figures = {{"model", "mlp"},
                   {"scheme", "bias:3"},
                   {"accuracy", 0.873},
                   {"samples", 113},
                   {"split", "test"},
                   {"step_ms_median", 21.7},
                   {"params", 1000},
                   {"trainable_params", 250},
                   {"forward_macs", 5000000},
                   {"measured_peak_bytes", 12100000},
                   {"command", "pocketune train --model mlp"}};
  for (int epoch = 1; epoch <= 5; ++epoch) {
    input.epochs.push_back({{"epoch", epoch},
                            {"train_loss", 2.0 / epoch},
                            {"val_loss", 2.5 / epoch},
                            {"val_accuracy", 0.15 * epoch}});
  }
  input.memory_map = SampleMap();
  input.layers = {{"fc1.weight", 700, false, 0.0},
                  {"fc1.bias", 50, true, 0.02},
                  {"fc2.weight", 250, true, 0.4}};
  input.class_names = {"cat", "dog", "eel"};
  input.confusion = {{40, 3, 0}, {7, 31, 1}, {0, 0, 0}};
  return input;
}

void ExpectSound(const std::string& page) {
  EXPECT_EQ(Unbalanced(page), "");
  for (const char* outside : {"http:", "https:", "src=", "href", "url(", "@import", "<script"}) {
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  }
  for (const char* broken : {"nan", "NaN", "inf\"", "inf ", "-0\"", "width:-"}) {
    EXPECT_THAT(page, Not(HasSubstr(broken)));
  }
}

TEST(ReportTest, ShowsTheFiguresOfARun) {
  const std::string page = Render(Sample());
  ExpectSound(page);
  for (const char* text : {"87.3 %", "113 test samples", "21.7 ms", "12.1 MB", "250 of 1.0 K",
                           "25.0 %", "5.0 M", "bias:3", "pocketune train --model mlp"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
}

TEST(ReportTest, ShowsWhatAccuracyHidesWhereOneClassIsRare) {
  ReportInput input = Sample();
  input.figures["accuracy"] = 0.95;
  input.figures["balanced_accuracy"] = 0.5;
  input.figures["macro_f1"] = 0.487;
  const std::string page = Render(input);
  ExpectSound(page);
  EXPECT_THAT(page, HasSubstr("each class alike: 50.0 %"));
  EXPECT_THAT(page, HasSubstr("mean over classes</dt><dd>50.0 %</dd>"));
  EXPECT_THAT(page, HasSubstr("mean over classes</dt><dd>48.7 %</dd>"));
}

TEST(ReportTest, IsWellFormedWithNothingToShow) {
  const std::string page = Render({});
  ExpectSound(page);
  EXPECT_THAT(page, HasSubstr("No epoch was completed"));
  EXPECT_THAT(page, HasSubstr("No memory map was recorded"));
  EXPECT_THAT(page, HasSubstr("Nothing was evaluated"));
  EXPECT_THAT(page, HasSubstr("<dt>Optimizer</dt><dd>–</dd>"));
}

TEST(ReportTest, TakesFieldsOfTheWrongTypeForMissing) {
  ReportInput input = Sample();
  input.figures = {{"model", 7},        {"accuracy", "high"}, {"step_ms_median", kNan},
                   {"params", nullptr}, {"scheme", {1, 2}},   {"measured_peak_bytes", kInfinity}};
  input.epochs = {
      json::array(), {{"epoch", "first"}, {"train_loss", kNan}}, 3, {{"train_loss", 1}}};
  input.memory_map = {{"buffers", {3, {{"name", 1}}, Buffer("ok", 0, 1, 0, 64, false)}},
                      {"phases", "none"},
                      {"live_bytes", {"a", 5}},
                      {"peak_step", 1e300}};
  const std::string page = Render(input);
  ExpectSound(page);
  EXPECT_THAT(page, HasSubstr("<div class=\"score\"><b>–</b>"));
}

TEST(ReportTest, EscapesTextFromOutside) {
  const std::string evil = "<script>alert('1')</script>\"&\x01";
  const std::string safe = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;\uFFFD";
  ReportInput input = Sample();
  for (const char* key : {"model", "scheme", "split", "optimizer", "command", "version"}) {
    input.figures[key] = evil;
  }
  input.class_names = {evil, evil, evil};
  input.layers[0].name = evil + ".weight";
  input.memory_map["buffers"][0]["name"] = evil;
  input.memory_map["steps"][2]["loc"] = evil;
  const std::string page = Render(input);
  ExpectSound(page);
  EXPECT_GE(CountOf(page, safe), 15u);
}

TEST(ReportTest, ColoursBuffersByWhereTheyBeginAndEnd) {
  const std::string page = Render(Sample());
  EXPECT_THAT(page, HasSubstr("<g class=\"kept\"><rect x=\"0\""));
  for (const char* kind : {"kept", "short", "grad", "scratch"}) {
    const size_t group = page.find(std::string("<g class=\"") + kind + "\">");
    ASSERT_NE(group, std::string::npos);
    const std::string drawn = page.substr(group, page.find("</g>", group) - group);
    EXPECT_EQ(CountOf(drawn, "<rect"), 1u) << kind;
  }
  EXPECT_THAT(page, HasSubstr("kept for backward, 1.0 KB at the peak"));
  EXPECT_THAT(page, HasSubstr("scratch, 0 B at the peak"));
  EXPECT_THAT(page, HasSubstr("<code>relu_grad b1</code>"));
}

TEST(ReportTest, StaysLightWithManyBuffers) {
  ReportInput input = Sample();
  for (int i = 0; i < 3001; ++i) {
    input.memory_map["buffers"].push_back(Buffer("b", i % 5, 4, 64 * i, 64 + i, false));
  }
  const std::string page = Render(input);
  EXPECT_EQ(CountOf(page, "<rect"), 2000u);
  EXPECT_THAT(page, HasSubstr("2000 largest of 3005 buffers"));
  EXPECT_LT(page.size(), 400000u);
}

TEST(ReportTest, GroupsParametersOfALayerAndFillsWhatLearns) {
  const std::string page = Render(Sample());
  EXPECT_EQ(CountOf(page, "class=\"strip\""), 2u);
  EXPECT_THAT(page, HasSubstr("fc1.weight: 700, frozen\nfc1.bias: 50, moved by 2.0 %"));
  EXPECT_THAT(page, HasSubstr("<i class=\"shade2\" style=\"width:6.67%\">"));
  EXPECT_THAT(page, HasSubstr("<i class=\"shade5\" style=\"width:100.00%\">"));
}

TEST(ReportTest, SurvivesLayersThatMovedWithoutBound) {
  ReportInput input = Sample();
  input.layers = {{"a.weight", 7, true, kNan}, {"b.weight", 0, true, kInfinity}, {"", -3, true, 1}};
  ExpectSound(Render(input));
}

TEST(ReportTest, ShowsASmallConfusionAsATableAndALargeOneAsPairs) {
  ReportInput input = Sample();
  EXPECT_THAT(Render(input), HasSubstr("<tr><th>dog</th><td class=\"wrong\""));
  input.confusion.assign(21, std::vector<int64_t>(21, 0));
  input.confusion[2][1] = 9;
  input.confusion[20][3] = 4;
  const std::string page = Render(input);
  ExpectSound(page);
  EXPECT_THAT(page, Not(HasSubstr("<table")));
  EXPECT_LT(page.find("eel → dog"), page.find("class 20 → class 3"));
}

TEST(ReportTest, ToleratesARaggedConfusion) {
  ReportInput input = Sample();
  input.confusion = {{5}, {}, {1, 2, 3, 4, 5}};
  ExpectSound(Render(input));
}

TEST(ReportTest, DrawsASingleEpochAndEqualValues) {
  ReportInput input = Sample();
  input.epochs = {{{"epoch", 1}, {"train_loss", 0.5}, {"val_accuracy", 1.0}}};
  ExpectSound(Render(input));
  input.epochs.push_back({{"epoch", 2}, {"train_loss", 0.5}, {"val_accuracy", 1.0}});
  const std::string page = Render(input);
  ExpectSound(page);
  EXPECT_THAT(page, HasSubstr("epoch 2: train 0.5"));
}

TEST(ReportTest, SaysWhichPathCannotBeWritten) {
  const std::string path = testing::TempDir() + "no_such_folder/report.html";
  const absl::Status status = WriteReport(Sample(), path);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path + ": "));
}

}  // namespace
}  // namespace pocketune
