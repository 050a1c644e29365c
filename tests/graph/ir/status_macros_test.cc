#include "graph/base/status_macros.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace pocketune {
namespace {

absl::StatusOr<std::unique_ptr<int>> Give(int value) {
  if (value < 0) return absl::OutOfRangeError("below zero");
  return std::make_unique<int>(value);
}

absl::StatusOr<std::pair<int, int>> GivePair(int a, int b) { return std::pair<int, int>(a, b); }

absl::Status Check(int value) { return Give(value).status(); }

absl::Status CheckBoth(int a, int b, int* checked) {
  PT_TRY(Check(a));
  ++*checked;
  PT_TRY(Check(b));
  ++*checked;
  return absl::OkStatus();
}

TEST(PtTryTest, EndsTheFunctionAtTheFirstError) {
  int checked = 0;
  EXPECT_TRUE(CheckBoth(1, 2, &checked).ok());
  EXPECT_EQ(checked, 2);
  checked = 0;
  EXPECT_EQ(CheckBoth(1, -1, &checked), absl::OutOfRangeError("below zero"));
  EXPECT_EQ(checked, 1);
  EXPECT_EQ(CheckBoth(-1, 1, &checked), absl::OutOfRangeError("below zero"));
  EXPECT_EQ(checked, 1);
}

absl::StatusOr<int> Sum(int a, int b) {
  PT_TRY_ASSIGN(const std::unique_ptr<int> first, Give(a));
  std::unique_ptr<int> second;
  PT_TRY_ASSIGN(second, Give(b));
  PT_TRY_ASSIGN(const auto pair, GivePair(*first, *second));
  return pair.first + pair.second;
}

TEST(PtTryAssignTest, MovesTheValueIntoANewOrAnOldVariable) {
  const absl::StatusOr<int> sum = Sum(3, 4);
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(*sum, 7);
}

TEST(PtTryAssignTest, HandsTheErrorOn) {
  EXPECT_EQ(Sum(-1, 4).status(), absl::OutOfRangeError("below zero"));
  EXPECT_EQ(Sum(3, -1).status(), absl::OutOfRangeError("below zero"));
}

}  // namespace
}  // namespace pocketune
