#include "engine/base/one_line.h"

#include <gtest/gtest.h>

namespace pocketune {
namespace {

TEST(OneLineTest, EscapesControlCharactersAlone) {
  using std::string_literals::operator""s;
  EXPECT_EQ(OneLine("a\nb\t\x7f" + "\0c"s), "a\\nb\\011\\177\\000c");
  EXPECT_EQ(OneLine("caf\xc3\xa9 \"x\" \\"), "caf\xc3\xa9 \"x\" \\");
  EXPECT_EQ(OneLine(""), "");
}

}  // namespace
}  // namespace pocketune
