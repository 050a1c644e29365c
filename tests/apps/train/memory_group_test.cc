#include "apps/train/memory_group.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temp_folder.h"

namespace pocketune {
namespace {

namespace fs = std::filesystem;

constexpr char kUnlimited[] = "9223372036854771712\n";  // how version 1 says that there is none

// A system of files such as FindMemoryGroup reads, with 1 GiB of memory.
class MemoryGroupTest : public ::testing::Test {
 protected:
  MemoryGroupTest() {
    Write("/proc/meminfo", "MemTotal:        1048576 kB\nMemFree:  1 kB\n");
    Write("/proc/self/status", "Name:\tx\nRssAnon:\t    2048 kB\n");
  }

  void Write(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(root_.path() + path).parent_path());
    std::ofstream(root_.path() + path) << text;
  }

  void Version1(const std::string& group, const std::string& top) const {
    Write("/proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:" + group + "\n0::/\n");
    Write("/proc/self/mountinfo",
          "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw\n"
          "32 31 0:29 " +
              top +
              " /sys/fs/cgroup/memory rw shared:7 - cgroup cgroup rw,cpu,memory\n"
              "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
  }

  void Version2(const std::string& group, const std::string& top) const {
    Write("/proc/self/cgroup", "0::" + group + "\n");
    Write("/proc/self/mountinfo",
          "29 22 0:25 " + top + " /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate\n");
  }

  int64_t LimitFound() const {
    const auto group = FindMemoryGroup(root_.path());
    return group.has_value() ? group->limit_bytes : 0;
  }

  const test::TempFolder root_;
};

TEST_F(MemoryGroupTest, WithoutGroupsThereIsNoLimit) { EXPECT_EQ(LimitFound(), 0); }

TEST_F(MemoryGroupTest, TheSmallestLimitOfAllGroupsAroundAProcessOfVersion1Counts) {
  Version1("/a/b c/d", "/");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", kUnlimited);
  Write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "80000000\n");
  Write("/sys/fs/cgroup/memory/a/b c/memory.limit_in_bytes", "64000000\n");
  Write("/sys/fs/cgroup/memory/a/b c/memory.stat", "rss 1\ntotal_rss 7097152\n");
  Write("/sys/fs/cgroup/memory/a/b c/d/memory.limit_in_bytes", "96000000\n");
  const auto group = FindMemoryGroup(root_.path());
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(group->limit_bytes, 64000000);
  EXPECT_EQ(group->others_bytes, 7097152 - 2048 * 1024);  // this process is none of the others
}

TEST_F(MemoryGroupTest, ALimitAboveTheMountIsKnownFromVersion1sHierarchicalLimit) {
  Version1("/docker/abc", "/docker/abc");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", kUnlimited);
  Write("/sys/fs/cgroup/memory/memory.stat",
        "cache 0\nhierarchical_memory_limit 50000000\ntotal_rss 0\n");
  EXPECT_EQ(LimitFound(), 50000000);
}

TEST_F(MemoryGroupTest, AGroupOutsideOfWhatAContainerHasMountedIsTheMountedOne) {
  Version1("/docker/abc", "/");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "50000000\n");
  EXPECT_EQ(LimitFound(), 50000000);
  Version1("/elsewhere", "/docker/abc");
  EXPECT_EQ(LimitFound(), 50000000);
}

TEST_F(MemoryGroupTest, TheSmallestLimitOfAllGroupsAroundAProcessOfVersion2Counts) {
  Version2("/user.slice/run-1.scope", "/");
  Write("/sys/fs/cgroup/user.slice/memory.max", "70000000\n");
  Write("/sys/fs/cgroup/user.slice/memory.stat", "anon 3097152\nfile 9\n");
  Write("/sys/fs/cgroup/user.slice/run-1.scope/memory.max", "max\n");
  const auto group = FindMemoryGroup(root_.path());
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(group->limit_bytes, 70000000);
  EXPECT_EQ(group->others_bytes, 1000000);
  Write("/sys/fs/cgroup/user.slice/run-1.scope/memory.high", "60000000\n");
  EXPECT_EQ(LimitFound(), 60000000);
}

TEST_F(MemoryGroupTest, LimitsThatTheMachineCannotReachAreNone) {
  Version2("/a", "/");
  Write("/sys/fs/cgroup/a/memory.max", "1073741824\n");
  EXPECT_EQ(LimitFound(), 0);
  Write("/sys/fs/cgroup/a/memory.max", "1073741823\n");
  EXPECT_EQ(LimitFound(), 1073741823);
}

TEST_F(MemoryGroupTest, FilesThatAreNotAsTheyShouldBeAreNoLimit) {
  for (const char* text : {"", "max", "-5\n", "0\n", "many\n"}) {
    Version2("/a", "/");
    Write("/sys/fs/cgroup/a/memory.max", text);
    EXPECT_EQ(LimitFound(), 0) << text;
  }
  Write("/proc/self/mountinfo", "31 23\n - cgroup2\n 1 2 3 4 5 - \n");
  EXPECT_EQ(LimitFound(), 0);
  Write("/proc/self/cgroup", "::\n4:memory\n");
  EXPECT_EQ(LimitFound(), 0);
}

}  // namespace
}  // namespace pocketune
