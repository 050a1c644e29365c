#include "apps/search/trial.h"

#include <gtest/gtest.h>

#include <cmath>

#include "apps/train/exit_code.h"
#include "tests/support/picture_sets.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {
namespace {

class TrialTest : public testing::Test {
 protected:
  TrialTest() {
    WriteIdxFolder(temp_.File("data"));
    spec_.model = {.name = "small-cnn", .classes = 3, .batch = 4};
    spec_.data.path = temp_.File("data");
    spec_.lr = 0.02;
    Outcome<ZooModel> model = BuildZooModel(spec_.model, "", 1, nullptr);
    EXPECT_TRUE(model.ok()) << model.message();
    model_ = std::make_unique<ZooModel>(std::move(model.value()));
    spec_.model = model_->spec;
    auto dataset = OpenDataset(spec_.data, 1);
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    dataset_ = *std::move(dataset);
  }

  TrialRunner Runner(int threads = 1, const std::atomic<int>* stop = nullptr) {
    return {&model_->model,
            dataset_.get(),
            spec_,
            {.threads = threads},
            {.head_steps = 5, .plan_path = temp_.File("p.ptplan"), .stop_signal = stop}};
  }

  TempFolder temp_;
  RunSpec spec_;
  std::unique_ptr<ZooModel> model_;
  std::unique_ptr<data::Dataset> dataset_;
};

TEST_F(TrialTest, IsTheSameInAnyOrderAndWithAnyThreads) {
  TrialRunner one = Runner(), other = Runner(2);
  ASSERT_TRUE(one.Prepare().ok());
  ASSERT_TRUE(other.Prepare().ok());
  const absl::StatusOr<TrialResult> a = one.Run("head", 20), b = one.Run("full", 20);
  const absl::StatusOr<TrialResult> d = other.Run("full", 20), c = other.Run("head", 20);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok() && d.ok());
  EXPECT_EQ(a->val_loss, c->val_loss);
  EXPECT_EQ(b->val_loss, d->val_loss);
  EXPECT_EQ(b->val_accuracy, d->val_accuracy);
  EXPECT_LT(b->val_loss, a->val_loss) << "learning everything brings something here";
}

TEST_F(TrialTest, KeepingWhatFrozenLayersMakeChangesNoBit) {
  TrialOptions options = {.head_steps = 30, .plan_path = temp_.File("p.ptplan")};
  TrialRunner with(&model_->model, dataset_.get(), spec_, {.threads = 2}, options);
  options.cache_prefix = false;
  TrialRunner without(&model_->model, dataset_.get(), spec_, {.threads = 2}, options);
  ASSERT_TRUE(with.Prepare().ok());
  ASSERT_TRUE(without.Prepare().ok());
  for (const char* scheme : {"head", "blocks:1", "full"}) {
    const absl::StatusOr<TrialResult> a = with.Run(scheme, 40), b = without.Run(scheme, 40);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(a->val_loss, b->val_loss) << scheme;
    EXPECT_GT(a->step_ms, 0) << scheme;
  }
}

TEST_F(TrialTest, ARateBeyondHopeIsSaid) {
  spec_.lr = 3e38;
  EXPECT_EQ(ExitCodeOf(Runner().Prepare()), ExitCode::kNumerics);
}

TEST_F(TrialTest, ASignalEndsIt) {
  std::atomic<int> stop{0};
  TrialRunner runner = Runner(1, &stop);
  ASSERT_TRUE(runner.Prepare().ok());
  stop = 2;
  EXPECT_TRUE(absl::IsCancelled(runner.Run("head", 20).status()));
}

TEST_F(TrialTest, CompilesWithoutTraining) {
  const absl::StatusOr<PlanFigures> head = Runner().Compile("head"),
                                    full = Runner().Compile("full");
  ASSERT_TRUE(head.ok() && full.ok());
  EXPECT_LT(head->predicted_peak_bytes, full->predicted_peak_bytes);
}

TEST_F(TrialTest, SaysThatASchemeIsWrong) {
  TrialRunner runner = Runner();
  ASSERT_TRUE(runner.Prepare().ok());
  EXPECT_EQ(ExitCodeOf(runner.Run("nothing", 20).status()), ExitCode::kUsage);
}

}  // namespace
}  // namespace pocketune::test
