#include "frontends/torch/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/frontends/torch/torch_fixture.h"

namespace pocketune {
namespace {

using test::PickleWriter;
using testing::HasSubstr;

absl::StatusOr<Pickle> Read(const std::string& bytes) {
  return ReadPickle({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

TEST(PickleTest, NumbersTextsAndContainersAreValues) {
  const absl::StatusOr<Pickle> pickle =
      Read(PickleWriter()
               .Raw("](K\x07M\x01\x02J\xff\xff\xff\xff\x8a\x01\xfe\x88N")
               .Text("x")
               .Raw("e")
               .Stop());
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  const PickleValue& list = pickle->at(pickle->root);
  ASSERT_EQ(list.items.size(), 7u);
  const int64_t numbers[] = {7, 0x201, -1, -2, 1};
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(pickle->at(list.items[i]).number, numbers[i]);
  EXPECT_EQ(pickle->at(list.items[5]).kind, PickleKind::kNone);
  EXPECT_EQ(pickle->at(list.items[6]).text, "x");
}

TEST(PickleTest, WhatIsRememberedIsTheSameValue) {
  const absl::StatusOr<Pickle> pickle = Read(PickleWriter().Text("a").Raw("q\x05h\x05\x86").Stop());
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  const std::vector<int32_t>& items = pickle->at(pickle->root).items;
  EXPECT_EQ(items[0], items[1]);
}

TEST(PickleTest, InstructionsWithoutOperandsAreRefused) {
  for (const char* ops : {"", "\x86", "R", "b", "Q", "h\x01", "a", "s", "u", "t", "0", "q\x01", "(",
                          "]u", "}(K\x01u", "NN", "N)R"}) {
    EXPECT_FALSE(Read(PickleWriter().Raw(ops).Stop()).ok()) << ops;
  }
}

TEST(PickleTest, WhereItEndsEarlyIsTold) {
  const std::string whole = PickleWriter().Text("abc").Stop();
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_TRUE(absl::IsDataLoss(Read(whole.substr(0, n)).status())) << n;
  }
  EXPECT_EQ(Read(whole + "more")->bytes, static_cast<int64_t>(whole.size()));
}

// Few bytes that stand for many values: a tuple of a thousand, named again and again.
TEST(PickleTest, SizesAreBounded) {
  PickleWriter writer;
  writer.Raw("(");
  for (int i = 0; i < 1000; ++i) writer.Raw("N");
  writer.Raw("tq\x01");
  for (int i = 0; i < 100000; ++i) writer.Raw("h\x01Q");
  EXPECT_THAT(std::string(Read(writer.Stop()).status().message()), HasSubstr("more than"));
  std::string nones(kMaxPickleValues + 2, 'N');
  EXPECT_THAT(std::string(Read(PickleWriter().Raw(nones).Stop()).status().message()),
              HasSubstr("values"));
}

TEST(PickleTest, NamesAreWrittenOnOneLine) {
  const std::string long_name(1000, 'x');
  const auto refused = Read(PickleWriter().Name("a\tb", long_name).Stop());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("got a\\011b.xx"));
  EXPECT_LT(refused.status().message().size(), 400u);
}

}  // namespace
}  // namespace pocketune
