#include "engine/base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace pocketune {
namespace {

struct Heard {
  std::string line;
  LogLevel level = LogLevel::kInfo;
  int times = 0;
};

void Listen(void* user, LogLevel level, const char* line) {
  Heard& heard = *static_cast<Heard*>(user);
  heard = {line, level, heard.times + 1};
}

TEST(LogTest, GoesToWhoeverWasNamedLastAndToNobodyAtFirst) {
  Log(LogLevel::kError, "to nobody");
  Heard first, second;
  SetLog(Listen, &first);
  Log(LogLevel::kInfo, "one %d", 1);
  SetLog(Listen, &second);
  Log(LogLevel::kError, "two %s", "2");
  SetLog(nullptr, nullptr);
  Log(LogLevel::kError, "to nobody");
  EXPECT_EQ(first.line, "one 1");
  EXPECT_EQ(first.level, LogLevel::kInfo);
  EXPECT_EQ(second.line, "two 2");
  EXPECT_EQ(second.level, LogLevel::kError);
  EXPECT_EQ(first.times + second.times, 2);
}

TEST(LogTest, CutsLongLines) {
  Heard heard;
  SetLog(Listen, &heard);
  Log(LogLevel::kInfo, "%s", std::string(1000, 'x').c_str());
  SetLog(nullptr, nullptr);
  EXPECT_EQ(heard.line, std::string(255, 'x'));
}

// A listener may name another one.
TEST(LogTest, HoldsNoLockWhileALineIsGivenOut) {
  SetLog([](void*, LogLevel, const char*) { SetLog(nullptr, nullptr); }, nullptr);
  Log(LogLevel::kInfo, "once");
  Log(LogLevel::kInfo, "to nobody");
}

}  // namespace
}  // namespace pocketune
