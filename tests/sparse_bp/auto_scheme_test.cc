#include "sparse_bp/auto_scheme.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "graph/ir/model.h"
#include "pocketune/compiler.h"
#include "pocketune/zoo.h"

namespace pocketune {
namespace {

Model ResNet8() {
  return std::move(BuildZooModel({.name = "resnet8", .batch = 4}, "", 1, nullptr)->model);
}

// What RichestScheme returns where just the schemes in `fit` fit.
std::string Richest(const std::vector<std::string>& fit) {
  const Model model = ResNet8();  // three blocks
  const absl::StatusOr<std::string> scheme =
      RichestScheme(model.impl().forward, [&](const std::string& asked) -> absl::StatusOr<bool> {
        return std::find(fit.begin(), fit.end(), asked) != fit.end();
      });
  EXPECT_TRUE(scheme.ok()) << scheme.status();
  return *scheme;
}

TEST(AutoSchemeTest, SchemesAreAskedFromTheRichestToThePoorest) {
  EXPECT_EQ(Richest({"full", "blocks:1", "blocks:2", "blocks:3", "head"}), "full");
  EXPECT_EQ(Richest({"blocks:1", "blocks:2", "bias", "head"}), "blocks:2");
  EXPECT_EQ(Richest({"blocks:1", "head"}), "blocks:1");
  EXPECT_EQ(Richest({"bias", "bias:3", "head"}), "bias");
  EXPECT_EQ(Richest({"bias:1", "bias:2", "head"}), "bias:2");
  EXPECT_EQ(Richest({"head"}), "head");
  EXPECT_EQ(Richest({}), "");
}

TEST(AutoSchemeTest, AnErrorEndsTheSearch) {
  const Model model = ResNet8();
  const auto fails = [](const std::string&) {
    return absl::StatusOr<bool>(absl::InternalError("x"));
  };
  EXPECT_EQ(RichestScheme(model.impl().forward, fails).status().code(),
            absl::StatusCode::kInternal);
}

// The number behind "want at least".
int64_t SmallestOf(const std::string& message) {
  const size_t at = message.find("want at least ");
  return at == std::string::npos ? -1 : std::atoll(message.c_str() + at + 14);
}

TEST(AutoSchemeTest, CompileTakesTheRichestSchemeThatFits) {
  const Model model = ResNet8();
  TrainSpec train;
  train.scheme = "auto";
  EXPECT_EQ(Compile(model, train, {}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Compile(model, train, {.memory_bytes = 1}).code(), StatusCode::kOutOfRange);
  const Outcome<Plan> all = Compile(model, train, {.memory_bytes = 1 << 30});
  ASSERT_TRUE(all.ok()) << all.message();
  EXPECT_EQ(all->figures.scheme, "full");
  // Just below what `full` can do with, another scheme is taken.
  train.scheme = "full";
  const int64_t least = SmallestOf(Compile(model, train, {.memory_bytes = 1}).message());
  train.scheme = "auto";
  const Outcome<Plan> less = Compile(model, train, {.memory_bytes = least - 1});
  ASSERT_TRUE(less.ok()) << less.message();
  EXPECT_NE(less->figures.scheme, "full");
  EXPECT_LT(less->figures.predicted_peak_bytes, least);
}

}  // namespace
}  // namespace pocketune
