#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "engine/base/rng.h"
#include "pocketune/checkpoint.h"
#include "tests/engine/checkpoint/failing_calls.h"
#include "tests/support/tiny_session.h"

namespace pocketune {
namespace {

using test::Call;
using test::FailCall;
using test::TempFolder;
using test::TinySession;

void Damage(const std::string& path, size_t byte) {
  std::vector<uint8_t> bytes = test::ReadBytes(path);
  bytes.at(byte) ^= 1;
  test::WriteBytes(path, bytes);
}

// Trains to step n and saves after each step.
void SaveSteps(TinySession& session, CheckpointStore& store, int steps) {
  for (int i = 0; i < steps; ++i) {
    session.Train(1);
    ASSERT_TRUE(store.Save(*session, "step " + std::to_string(session->step())).ok());
  }
}

TEST(CheckpointStoreTest, FindsNothingInAnEmptyFolder) {
  const TempFolder folder;
  TinySession session;
  CheckpointStore store(folder.path());
  EXPECT_EQ(store.LoadNewest(*session).status().code(), StatusCode::kNotFound);
}

TEST(CheckpointStoreTest, KeepsTwoGenerationsAndLoadsTheNewest) {
  const TempFolder folder;
  TinySession session, fresh;
  CheckpointStore store(folder.path());
  for (int steps = 1; steps <= 5; ++steps) {
    SaveSteps(session, store, 1);
    CheckpointStore reader(folder.path());
    const Result<LoadedCheckpoint> loaded = reader.LoadNewest(*fresh);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_EQ(loaded.value().user, "step " + std::to_string(steps));
    EXPECT_EQ(loaded.value().file, steps % 2 == 1 ? "checkpoint-a" : "checkpoint-b");
    EXPECT_EQ(loaded.value().damaged, "");
    EXPECT_EQ(fresh.Params(), session.Params());
  }
}

TEST(CheckpointStoreTest, GoesOnAlternatingAfterARestart) {
  const TempFolder folder;
  TinySession session;
  for (int restart = 0; restart < 5; ++restart) {
    CheckpointStore store(folder.path());
    SaveSteps(session, store, 1);
  }
  CheckpointStore store(folder.path());
  const Result<LoadedCheckpoint> loaded = store.LoadNewest(*session);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.value().user, "step 5");
  EXPECT_EQ(loaded.value().file, "checkpoint-a");
}

TEST(CheckpointStoreTest, FallsBackWhereTheNewestIsDamagedAndSaysSo) {
  for (const size_t byte : {8u, 100u, 700u}) {  // header, metadata, values
    const TempFolder folder;
    TinySession session, fresh;
    CheckpointStore store(folder.path());
    SaveSteps(session, store, 4);
    Damage(folder.File("checkpoint-b"), byte);
    CheckpointStore reader(folder.path());
    const Result<LoadedCheckpoint> loaded = reader.LoadNewest(*fresh);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_EQ(loaded.value().file, "checkpoint-a");
    EXPECT_EQ(loaded.value().user, "step 3");
    EXPECT_EQ(loaded.value().damaged, "checkpoint-b");
    EXPECT_EQ(loaded.value().damage.code(), StatusCode::kDataLoss);
    EXPECT_EQ(fresh->step(), 3u);
    // The next save takes the damaged one's place and is the newest.
    SaveSteps(fresh, reader, 1);
    const Result<LoadedCheckpoint> again = CheckpointStore(folder.path()).LoadNewest(*session);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again.value().file, "checkpoint-b");
    EXPECT_EQ(again.value().damaged, "");
    EXPECT_EQ(session->step(), 4u);
  }
}

TEST(CheckpointStoreTest, TellsThatTheOlderOneIsDamagedBeforeItIsNeeded) {
  const TempFolder folder;
  TinySession session, fresh;
  CheckpointStore store(folder.path());
  SaveSteps(session, store, 4);
  Damage(folder.File("checkpoint-a"), 700);
  CheckpointStore reader(folder.path());
  const Result<LoadedCheckpoint> loaded = reader.LoadNewest(*fresh);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded.value().file, "checkpoint-b");
  EXPECT_EQ(loaded.value().user, "step 4");
  EXPECT_EQ(loaded.value().damaged, "checkpoint-a");
  EXPECT_EQ(fresh.Params(), session.Params());
  SaveSteps(fresh, reader, 1);
  const Result<LoadedCheckpoint> again = CheckpointStore(folder.path()).LoadNewest(*session);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value().file, "checkpoint-a");
  EXPECT_EQ(again.value().damaged, "");
}

TEST(CheckpointStoreTest, TellsAllDamagedFromNoneThere) {
  const TempFolder folder;
  TinySession session, fresh;
  CheckpointStore store(folder.path());
  SaveSteps(session, store, 2);
  Damage(folder.File("checkpoint-a"), 700);
  Damage(folder.File("checkpoint-b"), 70);
  const std::vector<uint8_t> kept = test::ReadBytes(folder.File("checkpoint-a"));
  const std::vector<float> params = fresh.Params();
  EXPECT_EQ(CheckpointStore(folder.path()).LoadNewest(*fresh).status().code(),
            StatusCode::kDataLoss);
  EXPECT_EQ(fresh.Params(), params);
  EXPECT_EQ(test::ReadBytes(folder.File("checkpoint-a")), kept);
  std::filesystem::remove(folder.File("checkpoint-b"));
  EXPECT_EQ(CheckpointStore(folder.path()).LoadNewest(*fresh).status().code(),
            StatusCode::kDataLoss);
}

TEST(CheckpointStoreTest, RefusesACheckpointOfAnotherModel) {
  const TempFolder folder;
  TinySession session;
  CheckpointStore store(folder.path());
  SaveSteps(session, store, 2);
  test::PlanSpec spec = test::TinyPlan();
  spec.params[0].name = "fc0.weight";
  TinySession other(test::ReferenceOptions(), spec);
  EXPECT_EQ(CheckpointStore(folder.path()).LoadNewest(*other).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST(CheckpointStoreTest, TakesAReadErrorForNothingElse) {
  const TempFolder folder;
  TinySession session, fresh;
  CheckpointStore store(folder.path());
  SaveSteps(session, store, 2);
  const std::vector<uint8_t> a = test::ReadBytes(folder.File("checkpoint-a"));
  const std::vector<uint8_t> b = test::ReadBytes(folder.File("checkpoint-b"));
  const std::vector<float> params = fresh.Params();
  int failures = 0;
  for (int nth = 1;; ++nth) {
    FailCall(Call::kRead, nth, EIO);
    const Result<LoadedCheckpoint> loaded = CheckpointStore(folder.path()).LoadNewest(*fresh);
    FailCall(Call::kRead, 0, 0);
    if (loaded.ok()) break;
    ++failures;
    EXPECT_EQ(loaded.status().code(), StatusCode::kUnavailable) << nth;
    EXPECT_EQ(loaded.status().detail(), EIO) << nth;
    EXPECT_EQ(fresh.Params(), params) << nth;
  }
  EXPECT_EQ(failures, 4);  // both headers, then one again and its body
  EXPECT_EQ(test::ReadBytes(folder.File("checkpoint-a")), a);
  EXPECT_EQ(test::ReadBytes(folder.File("checkpoint-b")), b);
}

TEST(CheckpointStoreTest, KeepsWhatItHadWhereverASaveFails) {
  const TempFolder folder;
  TinySession session, fresh;
  CheckpointStore store(folder.path());
  SaveSteps(session, store, 2);
  session.Train(1);
  for (const Call call : {Call::kWrite, Call::kSync, Call::kRename}) {
    for (const int error : {EIO, ENOSPC}) {
      int failures = 0;
      for (int nth = 1;; ++nth) {
        FailCall(call, nth, error);
        const Status status = store.Save(*session, "later");
        FailCall(call, 0, 0);
        if (status.ok()) break;
        ++failures;
        EXPECT_EQ(status.code(), StatusCode::kUnavailable);
        EXPECT_EQ(status.detail(), error);
        EXPECT_FALSE(std::filesystem::exists(folder.File("checkpoint-a.tmp")));
        EXPECT_FALSE(std::filesystem::exists(folder.File("checkpoint-b.tmp")));
        EXPECT_TRUE(CheckpointStore(folder.path()).LoadNewest(*fresh).ok());
        EXPECT_GE(fresh->step(), 2u);
      }
      EXPECT_GE(failures, 1);
    }
  }
}

TEST(CheckpointStoreTest, TriesAnInterruptedCallAgain) {
  const TempFolder folder;
  TinySession session, fresh;
  CheckpointStore store(folder.path());
  session.Train(1);
  FailCall(Call::kWrite, 2, EINTR);
  FailCall(Call::kSync, 1, EINTR);
  EXPECT_TRUE(store.Save(*session, "").ok());
  FailCall(Call::kRead, 1, EINTR);
  EXPECT_TRUE(CheckpointStore(folder.path()).LoadNewest(*fresh).ok());
  EXPECT_EQ(fresh.Params(), session.Params());
}

// A child trains and saves without end; it tells each step that it has saved. Wherever it is
// killed, that step or a later one is there, as an uninterrupted run has it.
TEST(CheckpointStoreTest, LosesNothingToAKill) {
  const TempFolder folder;
  std::vector<std::vector<float>> straight;  // parameters after each step
  TinySession reference;
  straight.push_back(reference.Params());
  TinySession session;
  uint64_t saved = 0;
  for (uint64_t kill_index = 0; kill_index < 20; ++kill_index) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(pipe_fds[0]);
      const Result<RunLock> lock = RunLock::Acquire(folder.path());
      if (!lock.ok()) _exit(1);
      CheckpointStore store(folder.path());
      (void)store.LoadNewest(*session);
      for (float loss; session->TrainStep(0.01, &loss).ok() && store.Save(*session, "").ok();) {
        const uint64_t step = session->step();
        if (write(pipe_fds[1], &step, sizeof(step)) != sizeof(step)) break;
      }
      _exit(2);
    }
    close(pipe_fds[1]);
    const auto wait = std::chrono::microseconds(RandomStream(3, "kill").Below(kill_index, 20000));
    std::this_thread::sleep_for(wait);
    kill(child, SIGKILL);
    int status;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    for (uint64_t step; read(pipe_fds[0], &step, sizeof(step)) == sizeof(step);) saved = step;
    close(pipe_fds[0]);

    TinySession resumed;
    const Result<LoadedCheckpoint> loaded = CheckpointStore(folder.path()).LoadNewest(*resumed);
    if (saved == 0 && loaded.status().code() == StatusCode::kNotFound) continue;
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_EQ(loaded.value().damaged, "");
    EXPECT_GE(resumed->step(), saved);
    while (straight.size() <= resumed->step()) {
      reference.Train(1, 0.01);
      straight.push_back(reference.Params());
    }
    EXPECT_EQ(resumed.Params(), straight[resumed->step()]);
  }
  EXPECT_GT(saved, 0u);
}

TEST(RunLockTest, HoldsAFolderForOne) {
  const TempFolder folder;
  {
    const Result<RunLock> first = RunLock::Acquire(folder.path());
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(RunLock::Acquire(folder.path()).status().code(), StatusCode::kFailedPrecondition);
  }
  EXPECT_TRUE(RunLock::Acquire(folder.path()).ok());
}

TEST(RunLockTest, SaysThatTheFolderIsMissing) {
  const TempFolder folder;
  EXPECT_EQ(RunLock::Acquire(folder.File("no")).status().code(), StatusCode::kUnavailable);
}

TEST(RunLockTest, RemovesWhatAKilledSaveHasLeft) {
  const TempFolder folder;
  test::WriteBytes(folder.File("checkpoint-a"), {1});
  test::WriteBytes(folder.File("checkpoint-a.tmp"), {1});
  test::WriteBytes(folder.File("checkpoint-b.tmp"), {1});
  ASSERT_TRUE(RunLock::Acquire(folder.path()).ok());
  EXPECT_TRUE(std::filesystem::exists(folder.File("checkpoint-a")));
  EXPECT_FALSE(std::filesystem::exists(folder.File("checkpoint-a.tmp")));
  EXPECT_FALSE(std::filesystem::exists(folder.File("checkpoint-b.tmp")));
}

}  // namespace
}  // namespace pocketune
