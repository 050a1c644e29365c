#include "apps/train/run_folder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/train/exit_code.h"
#include "tests/apps/train/train_test_util.h"

namespace pocketune::test {
namespace {

// A run with both checkpoints.
void TrainShortly(TinyRun& run) {
  run.spec().epochs = 2;
  ASSERT_TRUE(run.Train().ok());
}

void Damage(const std::string& path) {
  std::vector<uint8_t> bytes = ReadBytes(path);
  bytes[bytes.size() / 2] ^= 1;
  WriteBytes(path, bytes);
}

TEST(RunFolderTest, OneProcessTrainsInIt) {
  TinyRun run(SmallRun());
  const absl::StatusOr<std::unique_ptr<RunFolder>> second =
      RunFolder::OpenToTrain(run.folder().path());
  EXPECT_EQ(ExitCodeOf(second.status()), ExitCode::kLocked);
  EXPECT_TRUE(RunFolder::OpenToRead(run.folder().path()).ok());
}

TEST(RunFolderTest, CannotBeBelowAFileOrReadWithoutARun) {
  TempFolder temp;
  WriteBytes(temp.File("file"), {1});
  EXPECT_EQ(ExitCodeOf(RunFolder::OpenToTrain(temp.File("file/run")).status()), ExitCode::kIo);
  EXPECT_EQ(ExitCodeOf(RunFolder::OpenToTrain(temp.File("file")).status()), ExitCode::kIo);
  EXPECT_EQ(ExitCodeOf(RunFolder::OpenToRead(temp.path()).status()), ExitCode::kCheckpoint);
}

TEST(RunFolderTest, SpecAndLogCanBeReadBack) {
  TinyRun run(SmallRun());
  EXPECT_EQ(ExitCodeOf(run.folder().ReadSpec().status()), ExitCode::kCheckpoint);
  ASSERT_TRUE(run.folder().WriteSpec({{"a", 1}}).ok());
  EXPECT_EQ(run.folder().ReadSpec().value()["a"], 1);
  WriteBytes(run.folder().path() + "/spec.json", {'{', '"'});
  EXPECT_EQ(ExitCodeOf(run.folder().ReadSpec().status()), ExitCode::kCheckpoint);

  EXPECT_TRUE(run.folder().ReadLog().empty());
  EpochEvent event;
  event.train_loss = 0.5;
  EXPECT_TRUE(run.folder().Log(event).ok());
  std::ofstream(run.folder().path() + "/log.jsonl", std::ios::app) << "{\"epo\n[]\n";
  event.train_loss = 0.25;  // the epoch again, after a resume
  EXPECT_TRUE(run.folder().Log(event).ok());
  event.epoch = 1;
  event.validated = true;
  EXPECT_TRUE(run.folder().Log(event).ok());
  const std::vector<nlohmann::json> log = run.folder().ReadLog();
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0]["train_loss"], 0.25);
  EXPECT_FALSE(log[0].contains("val_loss"));
  EXPECT_TRUE(log[1].contains("val_accuracy"));
}

TEST(RunFolderTest, SaysWhereTheLogCannotBeWritten) {
  TinyRun run(SmallRun());
  std::filesystem::create_symlink("/dev/full", run.folder().path() + "/log.jsonl");
  const absl::Status logged = run.folder().Log({});
  EXPECT_EQ(ExitCodeOf(logged), ExitCode::kIo);
  EXPECT_NE(logged.message().find("log.jsonl"), std::string::npos) << logged;
}

TEST(RunFolderTest, FallsBackToTheOlderCheckpointWithAWarning) {
  TinyRun run(SmallRun());
  TrainShortly(run);
  const std::vector<float> uninterrupted = run.Values();
  Damage(run.folder().path() + "/checkpoint-a");  // the start, then the end of the second epoch
  run.NewSession();
  std::vector<std::string> names;
  std::string warning;
  ASSERT_TRUE(run.folder().Restore(run.session(), &run.state(), &names, &warning).ok());
  EXPECT_NE(warning.find("checkpoint-a is damaged"), std::string::npos) << warning;
  EXPECT_EQ(names, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(run.state().step, kEpoch);
  ASSERT_TRUE(run.Train().ok());
  EXPECT_EQ(run.Values(), uninterrupted);
}

TEST(RunFolderTest, SaysWhereNothingIsThereAndWhereAllIsDamaged) {
  TinyRun run(SmallRun());
  EXPECT_TRUE(absl::IsNotFound(run.folder().Restore(run.session(), &run.state(), nullptr)));
  TrainShortly(run);
  Damage(run.folder().path() + "/checkpoint-a");
  Damage(run.folder().path() + "/checkpoint-b");
  run.NewSession();
  const std::vector<float> before = run.Values();
  const absl::Status status = run.folder().Restore(run.session(), &run.state(), nullptr);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kCheckpoint);
  EXPECT_EQ(run.Values(), before);
}

}  // namespace
}  // namespace pocketune::test
