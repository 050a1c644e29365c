#include "apps/search/picture.h"

#include <gtest/gtest.h>

#include "tests/apps/search/search_test_util.h"

namespace pocketune::test {
namespace {

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

TEST(SearchPictureTest, ShowsEachTrialAndMarksWhatWasChosen) {
  const Model model = ModelOf("small-cnn");
  const SearchSpace space = SpaceOf(model);
  Contributions found;
  for (int k = 0; k <= space.layers(); ++k) found.biases.push_back({0.1 * k, 100, 0});
  found.ratios.resize(space.layers());
  found.weights.resize(space.layers());
  found.ratios[0] = {1.0, 0.25};
  found.weights[0] = {{0.5, 10, 0}, {0.2, 5, 0}};
  const std::string svg = SearchPicture(space, found, {space.layers(), {{0, 0.25}}}, "a < b");
  EXPECT_EQ(svg.rfind("<svg ", 0), 0u);
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_EQ(Count(svg, "<rect class=\"taken\""), 1 + 1) << "the choice and the legend";
  EXPECT_EQ(Count(svg, "<rect class=\"bar\""), 1 + 1);
  EXPECT_EQ(Count(svg, "<svg"), Count(svg, "</svg>"));
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(SearchPictureTest, StandsWhereNothingBringsAnything) {
  const Model model = ModelOf("small-cnn");
  const SearchSpace space = SpaceOf(model);
  Contributions found;
  found.biases.resize(space.layers() + 1);
  found.ratios.resize(space.layers());
  found.weights.resize(space.layers());
  const std::string svg = SearchPicture(space, found, {}, "nothing");
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

}  // namespace
}  // namespace pocketune::test
