#include "apps/report/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace pocketune::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Plain(double value) { return absl::StrCat(value); }

TEST(NiceAxisTest, HasTicksAtOneTwoOrFiveTimesAPowerOfTen) {
  EXPECT_DOUBLE_EQ(NiceAxis(0, 10, 5, false, Plain).step, 2);
  EXPECT_DOUBLE_EQ(NiceAxis(0, 7, 7, false, Plain).step, 1);
  EXPECT_DOUBLE_EQ(NiceAxis(0, 0.3, 7, false, Plain).step, 0.05);
  EXPECT_DOUBLE_EQ(NiceAxis(0, 3e6, 3, false, Plain).step, 1e6);
  EXPECT_DOUBLE_EQ(NiceAxis(0, 9, 1, false, Plain).step, 10);
}

TEST(NiceAxisTest, EndsAtTicksWhereThatIsWanted) {
  const Axis loose = NiceAxis(0.7, 9.3, 5, false, Plain);
  EXPECT_DOUBLE_EQ(loose.low, 0.7);
  EXPECT_DOUBLE_EQ(loose.high, 9.3);
  const Axis whole = NiceAxis(0.7, 9.3, 5, true, Plain);
  EXPECT_DOUBLE_EQ(whole.low, 0);
  EXPECT_DOUBLE_EQ(whole.high, 10);
}

TEST(NiceAxisTest, OfOneValueHasRoomOnBothSides) {
  for (const double value : {0.0, 5.0, -5.0, 1e9}) {
    const Axis axis = NiceAxis(value, value, 5, false, Plain);
    EXPECT_LT(axis.low, value);
    EXPECT_GT(axis.high, value);
    EXPECT_GT(axis.step, 0);
  }
}

TEST(PlotTest, PlacesValuesInTheSquareAndKeepsThemThere) {
  const Plot plot({.low = 10, .high = 20}, {.low = -1, .high = 1});
  EXPECT_DOUBLE_EQ(plot.X(10), 0);
  EXPECT_DOUBLE_EQ(plot.X(12.5), 250);
  EXPECT_DOUBLE_EQ(plot.Y(1), 0) << "y is down";
  EXPECT_DOUBLE_EQ(plot.Y(-1), kPlotSize);
  EXPECT_DOUBLE_EQ(plot.X(30), kPlotSize);
  EXPECT_DOUBLE_EQ(plot.Y(7), 0);
}

TEST(PlotTest, ShowsItsTicksItsTitleAndWhatWasAdded) {
  Plot plot({.low = 0, .high = 4, .step = 2, .format = Plain},
            {.low = -1, .high = 1, .step = 1, .format = Plain});
  plot.Add("<path d=\"M0 0\"/>");
  plot.AddDot(2, 0, "best", "the best");
  const std::string html = plot.Html("losses", "Losses", "epoch");
  for (const char* part :
       {"class=\"plot losses\"", "aria-label=\"Losses\"", "<path d=\"M0 0\"/>", "M500 500h0",
        "<title>the best</title>", "left:50.00%\">2<", "left:100.00%\">4<", "top:0.00%\">1<",
        "top:100.00%\">-1<", "epoch</div>"}) {
    EXPECT_THAT(html, HasSubstr(part));
  }
  EXPECT_THAT(html, Not(HasSubstr(">-0<")));
}

}  // namespace
}  // namespace pocketune::report
