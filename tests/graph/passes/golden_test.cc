// Runs every file of tests/golden/passes/<pass>/*.ptir:
//
//   // RUN: passes=dce,cse
//   // RUN: passes=rematerialize live_target=4096     bytes that may be alive, for that pass
//   // RUN: passes=loop_batch cached=4096             bytes that a cache holds
//   the graph before
//   // ----
//   the graph after, exactly
//
// Parameters and constants get data that depends on their names alone. POCKETUNE_UPDATE_GOLDEN=1
// rewrites what comes after instead of comparing it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/str_split.h"
#include "backends/reference/reference_kernels.h"
#include "graph/ir/text.h"
#include "graph/ir/verifier.h"
#include "graph/passes/pass_manager.h"
#include "tests/support/random_graph.h"

namespace pocketune {
namespace {

constexpr char kRun[] = "// RUN: passes=";
constexpr char kBreak[] = "// ----\n";

std::filesystem::path Folder() {
  return std::filesystem::path(POCKETUNE_SOURCE_DIR) / "tests/golden/passes";
}

std::vector<std::filesystem::path> GoldenFiles() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Folder())) {
    if (entry.path().extension() == ".ptir") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void AddData(Graph& graph) {
  for (Value& value : graph.values) {
    const bool state = value.kind == ValueKind::kParam && value.role == ParamRole::kState;
    if (value.kind == ValueKind::kConst || (value.kind == ValueKind::kParam && !state)) {
      value.data = test::RandomData(value.name, value.type.shape.elems(), value.role);
    }
  }
}

class GoldenTest : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoldenTest, PassesGiveTheExpectedText) {
  const std::string text = ReadFile(GetParam());
  const size_t line_end = text.find('\n');
  const size_t middle = text.find(kBreak);
  ASSERT_TRUE(text.rfind(kRun, 0) == 0 && middle != std::string::npos) << "no golden file";
  const std::string names = text.substr(sizeof(kRun) - 1, line_end - sizeof(kRun) + 1);
  absl::StatusOr<Graph> graph = Parse(std::string_view(text).substr(0, middle));
  ASSERT_TRUE(graph.ok()) << graph.status();
  ASSERT_TRUE(Verify(*graph).ok()) << Verify(*graph);
  AddData(*graph);

  PassContext context;
  context.kernels = ReferenceKernels();
  const std::vector<std::string> words = absl::StrSplit(names, ' ');
  for (size_t i = 1; i < words.size(); ++i) {
    const std::pair<std::string, std::string> option = absl::StrSplit(words[i], '=');
    const int64_t number = std::stoll(option.second);
    if (option.first == "cached") context.cached_bytes = number;
    if (option.first == "live_target") context.live_target_bytes = number;
    if (option.first == "saved_bits") context.saved_bits = static_cast<int>(number);
  }
  const absl::Status status = RunPasses(*graph, context, absl::StrSplit(words[0], ','));
  ASSERT_TRUE(status.ok()) << status;

  const std::string got = Print(*graph);
  if (std::getenv("POCKETUNE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(GetParam()) << text.substr(0, middle) << kBreak << got;
    return;
  }
  EXPECT_EQ(got, text.substr(middle + sizeof(kBreak) - 1));
}

std::string NameOfFile(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.lexically_relative(Folder()).replace_extension().string();
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Passes, GoldenTest, testing::ValuesIn(GoldenFiles()), NameOfFile);

TEST(GoldenFilesTest, EveryPassHasOne) {
  std::set<std::string> folders;
  for (const auto& file : GoldenFiles()) folders.insert(file.parent_path().filename().string());
  for (const PassInfo& pass : AllPasses()) EXPECT_EQ(folders.count(pass.name), 1u) << pass.name;
}

}  // namespace
}  // namespace pocketune
