// A small run in a temporary folder, for the tests of the training loop.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "apps/train/run_folder.h"
#include "apps/train/run_trainer.h"
#include "apps/train/state_json.h"
#include "pocketune/compiler.h"
#include "pocketune/cpu.h"
#include "pocketune/zoo.h"
#include "tests/support/picture_sets.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {

// Batches an epoch: of 53 pictures 6 are for validation.
inline constexpr int64_t kEpoch = 11;

inline RunSpec SmallRun() {
  RunSpec spec;
  spec.model = {.name = "small-cnn", .classes = 3, .batch = 4};
  spec.lr = 0.05;
  spec.epochs = 3;
  return spec;
}

// The pictures, unless `spec` names others, the plan, the folder and a session that stands at its
// start.
class TinyRun {
 public:
  explicit TinyRun(const RunSpec& spec) : spec_(spec) {
    if (spec_.data.path.empty()) {
      WriteIdxFolder(temp_.File("data"));
      spec_.data.path = temp_.File("data");
    }
    absl::StatusOr<std::unique_ptr<data::Dataset>> dataset = OpenDataset(spec_.data, spec_.seed);
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    dataset_ = *std::move(dataset);
    Outcome<ZooModel> model = BuildZooModel(spec_.model, "", spec_.seed, nullptr);
    EXPECT_TRUE(model.ok()) << model.message();
    Outcome<Plan> plan = Compile(model->model, spec_.train, {.threads = 2});
    EXPECT_TRUE(plan.ok()) << plan.message();
    plan_ = std::move(plan.value());
    NewFolder("run");
  }

  // Another run of the same plan.
  void NewFolder(const std::string& name) {
    folder_.reset();
    absl::StatusOr<std::unique_ptr<RunFolder>> folder = RunFolder::OpenToTrain(temp_.File(name));
    ASSERT_TRUE(folder.ok()) << folder.status();
    folder_ = *std::move(folder);
    ASSERT_TRUE(folder_->WritePlan(plan_).ok());
    NewSession();
  }

  // As after a restart, before anything is restored.
  void NewSession() {
    SessionOptions options;
    options.seed = spec_.seed;
    auto session = OpenCpuSession(folder_->plan_path().c_str(), options);
    ASSERT_TRUE(session.ok()) << session.status().message();
    session_ = std::move(session).value();
    state_ = {};
  }

  absl::StatusOr<TrainEnd> Train(const TrainListener& listener = {},
                                 const TrainerOptions& options = {}) {
    RunTrainer trainer(session_.get(), dataset_.get(), spec_, folder_.get(), listener, options);
    return trainer.Run(&state_);
  }

  // What learns or is learned from: parameters, statistics and optimizer states.
  std::vector<float> Values() const {
    std::vector<float> all;
    for (const ParamInfo& info : session_->params()) {
      std::vector<float> values(static_cast<size_t>(info.shape.elems()));
      EXPECT_TRUE(session_->ReadParam(info.name, values).ok());
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

  // Overwrites the first parameter that learns.
  void Spoil(float value) const {
    for (const ParamInfo& info : session_->params()) {
      if (!info.trainable || info.state) continue;
      const std::vector<float> values(static_cast<size_t>(info.shape.elems()), value);
      EXPECT_TRUE(session_->WriteParam(info.name, values).ok());
      return;
    }
  }

  RunSpec& spec() { return spec_; }
  TrainState& state() { return state_; }
  Session& session() { return *session_; }
  RunFolder& folder() { return *folder_; }
  const data::Dataset& dataset() const { return *dataset_; }
  std::string File(const std::string& name) const { return temp_.File(name); }

 private:
  TempFolder temp_;
  RunSpec spec_;
  Plan plan_;
  TrainState state_;
  std::unique_ptr<data::Dataset> dataset_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<Session> session_;
};

}  // namespace pocketune::test
