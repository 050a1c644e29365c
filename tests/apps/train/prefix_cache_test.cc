#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/train/row_cache.h"
#include "tests/apps/train/train_test_util.h"
#include "tests/support/file_size_limit.h"

namespace pocketune::test {
namespace {

using ::testing::HasSubstr;

RunSpec HeadRun() {
  RunSpec spec = SmallRun();
  spec.train.scheme = "head";
  return spec;
}

// All that a run ends with.
struct Ending {
  std::vector<float> values;
  std::string state;
  bool operator==(const Ending&) const = default;
};

class PrefixCacheTest : public ::testing::Test {
 protected:
  // One run of `run`'s plan to its end, in a folder of its own.
  Ending Train(TinyRun& run, const std::string& where, TrainListener listener = {}) {
    run.NewFolder("run" + std::to_string(++runs_));
    notes_.clear();
    listener.on_note = [this](const std::string& note) { notes_ += note + "\n"; };
    const absl::StatusOr<TrainEnd> end = run.Train(listener, Options(where));
    EXPECT_TRUE(end.ok()) << end.status();
    return {run.Values(), ToJsonText(run.state(), {})};
  }

  static TrainerOptions Options(const std::string& where) {
    TrainerOptions options;
    options.loader_threads = 2;
    options.prefix_cache.where = where;
    return options;
  }

  int runs_ = 0;
  std::string notes_;
};

TEST_F(PrefixCacheTest, ARunEndsInTheSameBitsWithAndWithoutIt) {
  for (const char* scheme : {"head", "blocks:1"}) {
    RunSpec spec = SmallRun();
    spec.train.scheme = scheme;
    spec.model.dropout = 0.3;
    TinyRun run(spec);
    const Ending without = Train(run, "off");
    EXPECT_EQ(notes_.find("prefix"), std::string::npos) << notes_;
    EXPECT_TRUE(Train(run, "auto") == without) << scheme;
    EXPECT_THAT(notes_, HasSubstr("in memory"));
    EXPECT_TRUE(Train(run, run.File("rows")) == without) << scheme;
    EXPECT_THAT(notes_, HasSubstr("in a file"));
    EXPECT_TRUE(Train(run, run.File("rows")) == without) << scheme;
    EXPECT_THAT(notes_, HasSubstr(" 0 of the frozen layers' rows computed"));
  }
}

TEST_F(PrefixCacheTest, ASetSmallerThanABatchEndsInTheSameBits) {
  RunSpec spec = HeadRun();
  spec.model.batch = 64;
  TinyRun run(spec);
  EXPECT_TRUE(Train(run, "auto") == Train(run, "off"));
  Train(run, "auto");
  EXPECT_THAT(notes_, HasSubstr("in memory"));
}

TEST_F(PrefixCacheTest, BadPicturesAreReplacedAsWithoutIt) {
  RunSpec spec = HeadRun();
  const data::TempDir pictures;
  spec.data.path = pictures.path();
  for (int i = 0; i < 75; ++i) {
    const std::string name = "class" + std::to_string(i % 3) + "/" + std::to_string(i) + ".jpg";
    data::WriteFile(pictures / name, i == 20 || i == 40
                                         ? data::Bytes{1, 2, 3}
                                         : data::EncodeJpeg(data::MakeImage(30, 34, 1, i)));
  }
  TinyRun run(spec);
  const Ending without = Train(run, "off");
  EXPECT_TRUE(Train(run, "auto") == without);
  EXPECT_THAT(notes_, HasSubstr("in memory"));
  EXPECT_TRUE(Train(run, run.File("rows")) == without);
  EXPECT_TRUE(Train(run, run.File("rows")) == without);
  // Another picture under an old name: its row is not taken.
  data::WriteFile(pictures / "class0/21.jpg", data::EncodeJpeg(data::MakeImage(30, 34, 1, 99)));
  const Ending changed = Train(run, run.File("rows"));
  EXPECT_THAT(notes_, HasSubstr("1 pictures have changed"));
  EXPECT_TRUE(Train(run, "off") == changed);
}

TEST_F(PrefixCacheTest, AStoppedRunResumesToTheSameBits) {
  for (const std::string where : {"auto", "file"}) {
    TinyRun run(HeadRun());
    const Ending without = Train(run, "off");
    TrainerOptions options = Options(where == "auto" ? where : run.File("rows"));
    run.NewFolder("stopped");
    for (const int64_t stop : {0, 5, 13}) {
      std::atomic<int> signal{stop == 0 ? 15 : 0};
      options.stop_signal = &signal;
      TrainListener listener;
      listener.on_step = [&](const StepEvent& event) {
        if (event.step == stop) signal = 15;
      };
      EXPECT_EQ(run.Train(listener, options).value(), TrainEnd::kStopped);
      run.NewSession();
      ASSERT_TRUE(run.folder().Restore(run.session(), &run.state(), nullptr).ok());
    }
    options.stop_signal = nullptr;
    ASSERT_TRUE(run.Train({}, options).ok());
    EXPECT_TRUE((Ending{run.Values(), ToJsonText(run.state(), {})}) == without) << where;
  }
}

TEST_F(PrefixCacheTest, ADamagedOrStaleFileIsComputedAnew) {
  TinyRun run(HeadRun());
  const Ending without = Train(run, "off");
  const std::string path = run.File("rows");
  Train(run, path);
  const std::vector<uint8_t> good = ReadBytes(path);
  for (const size_t offset : {size_t{9}, size_t{17}, size_t{60}, good.size() - 1}) {
    std::vector<uint8_t> bytes = good;
    bytes[offset] ^= 1;
    WriteBytes(path, bytes);
    EXPECT_TRUE(Train(run, path) == without) << offset;
    EXPECT_THAT(notes_, HasSubstr("anew")) << offset;
    EXPECT_EQ(ReadBytes(path), good) << offset;
  }
  RunSpec other = HeadRun();
  other.seed = 2;  // other weights, and other pictures for validation
  TinyRun other_run(other);
  const Ending other_without = Train(other_run, "off");
  EXPECT_TRUE(Train(other_run, path) == other_without);
  EXPECT_THAT(notes_, HasSubstr("begun anew"));
}

TEST_F(PrefixCacheTest, AFileThatIsDamagedUnderARunDoesNotEndIt) {
  TinyRun run(HeadRun());
  const Ending without = Train(run, "off");
  const std::string path = run.File("rows");
  for (const std::string suffix : {"", ".val"}) {
    TrainListener listener;
    listener.on_step = [&](const StepEvent& event) {
      if (event.step == kEpoch + 3) std::filesystem::resize_file(path + suffix, 4096);
    };
    EXPECT_TRUE(Train(run, path, listener) == without) << suffix;
    EXPECT_THAT(notes_, HasSubstr("prefix cache: off")) << suffix;
    EXPECT_FALSE(std::filesystem::exists(path + suffix));
  }
}

TEST_F(PrefixCacheTest, AFullDiskLeavesTheRowsInMemory) {
  RunSpec spec = HeadRun();
  spec.train.scheme = "blocks:1";
  TinyRun run(spec);
  const std::string path = run.File("rows");
  const Ending without = Train(run, path);
  const auto bytes = std::filesystem::file_size(path);
  std::filesystem::remove(path);
  const FileSizeLimit limit(bytes - 1);  // checkpoints fit
  EXPECT_TRUE(Train(run, path) == without);
  EXPECT_THAT(notes_, HasSubstr("rows: cannot make room: File too large"));
  EXPECT_THAT(notes_, HasSubstr("computed in"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(PrefixCacheTest, GoesToTheRunsFolderWhereMemoryDoesNotDoAndLeavesWithTheRun) {
  TinyRun run(HeadRun());
  const Ending without = Train(run, "off");
  run.NewFolder("file");
  TrainerOptions options = Options("auto");
  options.prefix_cache.memory_bytes = 100;
  bool seen = false;
  TrainListener listener;
  listener.on_step = [&](const StepEvent&) {
    seen = std::filesystem::exists(run.folder().prefix_cache_path());
  };
  ASSERT_TRUE(run.Train(listener, options).ok());
  EXPECT_TRUE((Ending{run.Values(), ToJsonText(run.state(), {})}) == without);
  EXPECT_TRUE(seen);
  EXPECT_FALSE(std::filesystem::exists(run.folder().prefix_cache_path()));
  EXPECT_FALSE(std::filesystem::exists(run.folder().prefix_cache_path() + ".val"));

  run.NewFolder("none");
  options.prefix_cache.file_bytes = 100;
  listener.on_note = [this](const std::string& note) { notes_ += note + "\n"; };
  ASSERT_TRUE(run.Train(listener, options).ok());
  EXPECT_TRUE((Ending{run.Values(), ToJsonText(run.state(), {})}) == without);
  EXPECT_THAT(notes_, HasSubstr("has no room"));
}

TEST_F(PrefixCacheTest, IsOffWhereItCannotPay) {
  RunSpec spec = HeadRun();
  spec.epochs = 1;
  TinyRun one_epoch(spec);
  Train(one_epoch, "auto");
  EXPECT_EQ(notes_.find("prefix"), std::string::npos) << notes_;
  TinyRun full(SmallRun());
  Train(full, "auto");
  EXPECT_EQ(notes_.find("prefix"), std::string::npos) << notes_;
  Train(full, full.File("rows"));
  EXPECT_THAT(notes_, HasSubstr("the first layers learn"));
}

TEST_F(PrefixCacheTest, AFlippedPictureHasRowsOfItsOwn) {
  RunSpec spec = HeadRun();
  spec.data.flip = 0.4;
  TinyRun run(spec);
  const Ending without = Train(run, "off");
  EXPECT_TRUE(Train(run, "auto") == without);
  EXPECT_THAT(notes_, HasSubstr("of 47 train pictures\n"));
  EXPECT_THAT(notes_, HasSubstr("of 47 train pictures, flipped\n"));
  EXPECT_TRUE(Train(run, run.File("rows")) == without);
  // Those of 94 and 6 pictures, and of what fills up each one's last batch.
  EXPECT_THAT(notes_, HasSubstr(" 102 of the frozen layers' rows computed"));
  EXPECT_TRUE(Train(run, run.File("rows")) == without);
  EXPECT_THAT(notes_, HasSubstr(" 0 of the frozen layers' rows computed"));
}

TEST_F(PrefixCacheTest, RowsOfOtherFlipsAreNotTaken) {
  RunSpec spec = HeadRun();
  TinyRun run(spec);
  const std::pair<double, const char*> flips[] = {
      {0.0, " 55 of"}, {1.0, " 48 of"}, {0.5, " 95 of"}, {0.0, " 48 of"}};
  for (const auto& [flip, computed] : flips) {
    run.spec().data.flip = flip;
    const Ending without = Train(run, "off");
    EXPECT_TRUE(Train(run, run.File("rows")) == without) << flip;
    EXPECT_THAT(notes_, HasSubstr(computed)) << flip;
  }
}

TEST_F(PrefixCacheTest, ARunTooShortForRowsOfBothWaysComputesNone) {
  RunSpec spec = HeadRun();
  spec.data.flip = 0.5;
  spec.epochs = 2;
  TinyRun run(spec);
  const Ending without = Train(run, "off");
  EXPECT_TRUE(Train(run, "auto") == without);
  EXPECT_EQ(notes_.find("train pictures"), std::string::npos) << notes_;
}

TEST_F(PrefixCacheTest, CroppedPicturesAreCachedForValidationAlone) {
  RunSpec spec = HeadRun();
  spec.data.crop_padding = 2;
  TinyRun run(spec);
  const Ending without = Train(run, "off");
  EXPECT_TRUE(Train(run, run.File("rows")) == without);
  EXPECT_THAT(notes_, HasSubstr("cropped anew"));
  EXPECT_FALSE(std::filesystem::exists(run.File("rows")));
  EXPECT_TRUE(std::filesystem::exists(run.File("rows.val")));
}

TEST(PrefixCachePaysTest, WhereARowSavesMoreThanItsReadingCosts) {
  EXPECT_FALSE(RowCache::Pays({}));
  EXPECT_TRUE(RowCache::Pays({.row_bytes = 5120, .macs = 300'000'000, .rest_macs = 10'000}));
  EXPECT_FALSE(RowCache::Pays({.row_bytes = 400'000, .macs = 100'000, .rest_macs = 10'000}));
  EXPECT_FALSE(RowCache::Pays({.row_bytes = 100, .macs = 1'000'000, .rest_macs = 100'000'000}));
}

}  // namespace
}  // namespace pocketune::test
