// What may befall a run folder: damage, a full disk, another process, bad pictures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/apps/cli/cli_test_util.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;
using Args = std::vector<std::string>;

class RunFaultTest : public ::testing::Test {
 protected:
  RunFaultTest() { WriteIdxFolder(temp_.File("data")); }

  std::string File(const std::string& name) const { return temp_.File(name); }
  Args Train(const std::string& out) const { return TrainArgs(File("data"), out); }
  static Args Resume(const std::string& out) { return {"train", "--resume", "--out", out}; }

  // A run that has begun and not ended: it stands at its first step.
  void Begin(const std::string& out) const {
    const CommandResult begun = RunPocketune(With(Train(out), "--time-budget", "0.000001"));
    ASSERT_EQ(begun.exit_code, 0) << begun.err;
  }

  static void Damage(const std::string& path) {
    std::vector<uint8_t> bytes = ReadBytes(path);
    bytes[bytes.size() / 3] ^= 4;
    WriteBytes(path, bytes);
  }

  // A run of frozen layers to its end, and what it says; `out` and `cache` are below the folder.
  std::string TrainHead(const std::string& out, const std::string& cache) const {
    const CommandResult result =
        RunPocketune(With(With(Train(File(out)), "--scheme", "head"), "--prefix-cache", cache));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  // Both checkpoints of the two runs have the same bytes.
  void ExpectSameEnd(const std::string& a, const std::string& b) const {
    for (const char* checkpoint : {"/checkpoint-a", "/checkpoint-b"}) {
      EXPECT_TRUE(ReadBytes(File(a) + checkpoint) == ReadBytes(File(b) + checkpoint))
          << a << checkpoint;
    }
  }

  TempFolder temp_;
};

TEST_F(RunFaultTest, OneDamagedCheckpointIsAWarning) {
  ASSERT_EQ(RunPocketune(Train(File("run"))).exit_code, 0);
  Damage(File("run/checkpoint-a"));  // the newest
  const auto before = FilesBelow(File("run"));
  const CommandResult eval = RunPocketune({"eval", "--checkpoint", File("run")});
  EXPECT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_THAT(eval.out, HasSubstr("checkpoint-a is damaged"));
  EXPECT_TRUE(FilesBelow(File("run")) == before);
  const CommandResult resumed = RunPocketune(Resume(File("run")));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("checkpoint-a is damaged"));
  const CommandResult again = RunPocketune({"eval", "--checkpoint", File("run")});
  EXPECT_THAT(again.out, Not(HasSubstr("damaged")));
}

TEST_F(RunFaultTest, ADamagedOlderCheckpointIsAWarningToo) {
  ASSERT_EQ(RunPocketune(Train(File("run"))).exit_code, 0);
  Damage(File("run/checkpoint-b"));
  const CommandResult eval = RunPocketune({"eval", "--checkpoint", File("run")});
  EXPECT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_THAT(eval.out, HasSubstr("checkpoint-b is damaged"));
}

TEST_F(RunFaultTest, OtherPicturesThanARunBeganWithAreRefused) {
  Begin(File("run"));
  const auto before = FilesBelow(File("run"));
  const std::string labels = File("data/train-labels-idx1-ubyte");
  const std::vector<uint8_t> good = ReadBytes(labels);
  std::vector<uint8_t> other = good;
  std::swap(other[8], other[9]);
  ASSERT_NE(other, good);
  WriteBytes(labels, other);
  const CommandResult refused = RunPocketune(Resume(File("run")));
  EXPECT_EQ(refused.exit_code, 4) << refused.err;
  ExpectOneLine(refused.err);
  EXPECT_THAT(refused.err, HasSubstr("not those that"));
  EXPECT_TRUE(FilesBelow(File("run")) == before);
  WriteBytes(labels, good);
  EXPECT_EQ(RunPocketune(Resume(File("run"))).exit_code, 0);
}

TEST_F(RunFaultTest, TwoDamagedCheckpointsAreTheEnd) {
  ASSERT_EQ(RunPocketune(Train(File("run"))).exit_code, 0);
  Damage(File("run/checkpoint-a"));
  Damage(File("run/checkpoint-b"));
  const auto before = FilesBelow(File("run"));
  for (const Args& args : {Resume(File("run")), Args{"eval", "--checkpoint", File("run")},
                           Args{"infer", "--checkpoint", File("run"), File("x.jpg")},
                           Args{"export", "--checkpoint", File("run"), "--out", File("w")}}) {
    const CommandResult result = RunPocketune(args);
    EXPECT_EQ(result.exit_code, 5) << args[0] << result.err;
    ExpectOneLine(result.err);
  }
  EXPECT_TRUE(FilesBelow(File("run")) == before);
}

TEST_F(RunFaultTest, ADamagedPlanOrSpecSaysSo) {
  Begin(File("run"));
  const std::vector<uint8_t> plan = ReadBytes(File("run/plan.ptplan"));
  Damage(File("run/plan.ptplan"));
  EXPECT_EQ(RunPocketune(Resume(File("run"))).exit_code, 3);
  WriteBytes(File("run/plan.ptplan"), plan);
  const std::vector<uint8_t> spec = ReadBytes(File("run/spec.json"));
  for (const std::string text : {"", "{", "[]", "{\"figures\": 1}", "null"}) {
    WriteBytes(File("run/spec.json"), {text.begin(), text.end()});
    const CommandResult result = RunPocketune(Resume(File("run")));
    EXPECT_EQ(result.exit_code, 5) << text << result.err;
    ExpectOneLine(result.err);
  }
  WriteBytes(File("run/spec.json"), spec);
  EXPECT_EQ(RunPocketune(Resume(File("run"))).exit_code, 0);
}

TEST_F(RunFaultTest, AFolderInUseIsLocked) {
  Command first(Pocketune(With(Train(File("run")), "--epochs", "100000")));
  while (!fs::exists(File("run/checkpoint-b"))) std::this_thread::yield();
  for (const Args& args : {Train(File("run")), Resume(File("run"))}) {
    const CommandResult second = RunPocketune(args);
    EXPECT_EQ(second.exit_code, 9) << second.err;
    ExpectOneLine(second.err);
  }
  // Reading is free.
  EXPECT_EQ(RunPocketune({"eval", "--checkpoint", File("run")}).exit_code, 0);
  first.Signal(SIGKILL);
  first.Wait();
  // A kill does not lock anybody out.
  Command third(Pocketune(Resume(File("run"))));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  third.Signal(SIGTERM);
  EXPECT_NE(third.Wait().exit_code, 9);
}

// A file system of 4 MiB of our own; false where the system does not allow it.
bool MountSmallDisk(const std::string& path) {
  fs::create_directories(path);
  return unshare(CLONE_NEWNS) == 0 &&
         mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", path.c_str(), "tmpfs", 0, "size=4m") == 0;
}

TEST_F(RunFaultTest, AFullDiskKeepsTheOldCheckpoint) {
  const std::string disk = File("disk"), out = disk + "/run";
  const bool small = MountSmallDisk(disk);
  if (!small) std::printf("mounting is refused: a limit on the size of files stands in\n");
  RecordProperty("full_disk", small ? "tmpfs" : "RLIMIT_FSIZE");
  Begin(out);
  const std::vector<uint8_t> a = ReadBytes(out + "/checkpoint-a");
  CommandOptions options;
  if (small) {
    std::ofstream filler(disk + "/filler");
    while (filler << std::string(1000, 'x') << std::flush) continue;
  } else {
    options.max_file_bytes = static_cast<int64_t>(a.size()) / 2;
  }
  const CommandResult full = RunPocketune(Resume(out), options);
  EXPECT_EQ(full.exit_code, 6) << full.err;
  ExpectOneLine(full.err);
  EXPECT_EQ(ReadBytes(out + "/checkpoint-a"), a);
  EXPECT_FALSE(fs::exists(out + "/checkpoint-b"));
  EXPECT_FALSE(fs::exists(out + "/checkpoint-a.tmp"));
  fs::remove(disk + "/filler");
  const CommandResult resumed = RunPocketune(Resume(out));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  if (small) umount(disk.c_str());
}

TEST_F(RunFaultTest, AFullDiskUnderThePrefixCacheChangesNoBit) {
  const std::string disk = File("disk");
  const bool small = MountSmallDisk(disk);
  if (!small) GTEST_SKIP() << "mounting is refused; prefix_cache_test.cc limits files' sizes";
  TrainHead("plain", "off");
  std::ofstream filler(disk + "/filler");
  while (filler << std::string(1000, 'x') << std::flush) continue;
  filler.close();
  EXPECT_THAT(TrainHead("run", disk + "/rows"), HasSubstr("No space left on device"));
  EXPECT_FALSE(fs::exists(disk + "/rows"));
  ExpectSameEnd("run", "plain");
  umount(disk.c_str());
}

TEST_F(RunFaultTest, ADamagedPrefixCacheIsMadeAnewAndAnotherFileInItsPlaceIsLeftAlone) {
  TrainHead("plain", "off");
  TrainHead("good", File("rows"));
  const std::vector<uint8_t> good = ReadBytes(File("rows"));
  Damage(File("rows"));
  EXPECT_THAT(TrainHead("damaged", File("rows")), HasSubstr("anew"));
  EXPECT_TRUE(ReadBytes(File("rows")) == good);
  ExpectSameEnd("damaged", "plain");
  const std::vector<uint8_t> letter(5000, 'x');
  WriteBytes(File("rows"), letter);
  EXPECT_THAT(TrainHead("letter", File("rows")), HasSubstr("rows"));
  EXPECT_TRUE(ReadBytes(File("rows")) == letter);
  ExpectSameEnd("letter", "plain");
}

TEST_F(RunFaultTest, AFullDiskAtTheStartLeavesNoRun) {
  const CommandResult full = RunPocketune(Train(File("run")), {.max_file_bytes = 100000});
  EXPECT_EQ(full.exit_code, 6) << full.err;
  ExpectOneLine(full.err);
  EXPECT_FALSE(fs::exists(File("run/plan.ptplan")));
  EXPECT_EQ(RunPocketune(Train(File("run"))).exit_code, 0);
}

TEST_F(RunFaultTest, AFewBadPicturesAreLeftOutAndNamed) {
  data::WriteImageFolder(File("photos"), 20);
  WriteBytes(File("photos/bee/007.jpg"), {});
  const Args args = With(TrainArgs(File("photos"), File("run")), "--test-fraction", "0");
  const CommandResult result = RunPocketune(With(args, "--json", File("json")));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("bee/007.jpg"));
  const std::vector<uint8_t> json = ReadBytes(File("json"));
  EXPECT_THAT(std::string(json.begin(), json.end()), HasSubstr("\"skipped\": 1"));
}

TEST_F(RunFaultTest, ASingleClassIsSaid) {
  data::WriteImageFolder(File("photos"), 6);
  fs::remove_all(File("photos/bee"));
  fs::remove_all(File("photos/cat"));
  const CommandResult result = RunPocketune(TrainArgs(File("photos"), File("run")));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("note: "));
  EXPECT_THAT(result.out, HasSubstr("class"));
}

TEST_F(RunFaultTest, AClosedOutputHarmsNoFile) {
  const CommandResult result = RunPocketune(Train(File("run")), {.close_stdout = true});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(fs::file_size(File("run/lock")), 0u);
  const CommandResult full = RunPocketune(Train(File("full")), {.stdout_path = "/dev/full"});
  EXPECT_EQ(full.exit_code, 0) << full.err;
}

}  // namespace
}  // namespace pocketune::test
