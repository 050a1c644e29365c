// Plans of one model: their identity, and the checkpoints and values that they share.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/plan/model_identity.h"
#include "engine/plan/plan_file.h"
#include "pocketune/checkpoint.h"
#include "tests/support/zoo_session.h"

namespace pocketune {
namespace {

using test::ZooSession;
using ::testing::Each;
using ::testing::EndsWith;
using ::testing::IsEmpty;

constexpr int64_t kPixels = 28 * 28;

ModelSpec SmallCnn(int batch = 4) { return {.name = "small-cnn", .classes = 10, .batch = batch}; }

std::string CompileAs(const ModelSpec& spec, const TrainSpec& train, const Target& target = {}) {
  Outcome<ZooModel> zoo = BuildZooModel(spec, "", 1, nullptr);
  EXPECT_TRUE(zoo.ok()) << zoo.message();
  Outcome<Plan> plan = Compile(zoo->model, train, target);
  EXPECT_TRUE(plan.ok()) << plan.message();
  return plan.ok() ? plan->bytes : "";
}

uint64_t IdentityOf(const std::string& plan) {
  const Result<PlanFile> file =
      PlanFile::Open(std::span(reinterpret_cast<const uint8_t*>(plan.data()), plan.size()));
  EXPECT_TRUE(file.ok()) << file.status().message();
  const fb::Plan& metadata = file.value().plan();
  EXPECT_NE(metadata.model_identity(), 0u);
  EXPECT_TRUE(IsOfModel(metadata, metadata.model_identity()));
  EXPECT_TRUE(IsOfModel(metadata, ParamsIdentity(metadata)));
  return ModelIdentityOf(metadata);
}

TEST(PlansOfAModelTest, HaveOneIdentityHoweverTheyTrainAndRun) {
  const uint64_t identity = IdentityOf(CompileAs(SmallCnn(), {}));
  EXPECT_EQ(IdentityOf(CompileAs(SmallCnn(1), {})), identity);
  for (const char* scheme : {"head", "bias", "blocks:1", "channels(0.5)"}) {
    EXPECT_EQ(IdentityOf(CompileAs(SmallCnn(), {.scheme = scheme})), identity) << scheme;
  }
  EXPECT_EQ(IdentityOf(CompileAs(SmallCnn(), {.optimizer = "adamw"})), identity);
  EXPECT_EQ(IdentityOf(CompileAs(SmallCnn(), {.batch_norm = BatchNormMode::kFrozen})), identity);
  EXPECT_EQ(IdentityOf(CompileAs(SmallCnn(), {.micro_batch = 2})), identity);
  EXPECT_EQ(IdentityOf(CompileAs(SmallCnn(), {}, {.threads = 2, .memory_bytes = 8 << 20})),
            identity);
  EXPECT_EQ(IdentityOf(CompileAs(SmallCnn(), {}, {.isa = "sse4"})), identity);
}

TEST(PlansOfAModelTest, HaveAnotherIdentityThanEveryOtherModelOfTheZoo) {
  std::map<uint64_t, std::string> seen;
  for (const ModelListing& listing : ListModels()) {
    if (listing.params > 5000000) continue;  // compiling them takes long and shows nothing more
    if (listing.name == "mcunet-5fps") continue;  // mcunet-in1's network, for larger pictures
    const uint64_t identity =
        IdentityOf(CompileAs({.name = listing.name}, {.scheme = "head", .optimizer = "sgd"}));
    const auto [at, inserted] = seen.emplace(identity, listing.name);
    EXPECT_TRUE(inserted) << listing.name << " and " << at->second;
  }
  EXPECT_GE(seen.size(), 10u);
}

class SavedUnderBatchFourTest : public ::testing::Test {
 protected:
  SavedUnderBatchFourTest() {
    trained_.Train(3);
    EXPECT_TRUE(trained_->Save(path_.c_str(), "").ok());
  }
  static std::vector<float> Param(ZooSession& session, const ParamInfo& info) {
    std::vector<float> values(static_cast<size_t>(info.shape.elems()));
    EXPECT_TRUE(session->ReadParam(info.name, values).ok());
    return values;
  }

  test::TempFolder folder_;
  const std::string path_ = folder_.File("c");
  ZooSession trained_{CompileAs(SmallCnn(), {}), {.threads = 2}};
  RestoreReport report_;
};

TEST_F(SavedUnderBatchFourTest, AnswersAtBatchOneAsItDoesAtFour) {
  ZooSession one(CompileAs(SmallCnn(1), {}), {});
  ASSERT_TRUE(one->Restore(path_.c_str(), nullptr, &report_).ok());
  EXPECT_THAT(report_.started_states, IsEmpty());
  EXPECT_THAT(report_.left_out, IsEmpty());
  EXPECT_EQ(one->step(), 3u);
  std::vector<float> four_logits(40), one_logits(10);
  ASSERT_TRUE(trained_->Predict().ok());
  ASSERT_TRUE(trained_->Read("eval", "logits", four_logits).ok());
  for (int64_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(one->Bind("image", trained_.input(0).data() + i * kPixels, kPixels * 4).ok());
    ASSERT_TRUE(one->Predict().ok());
    ASSERT_TRUE(one->Read("eval", "logits", one_logits).ok());
    for (size_t k = 0; k < 10; ++k) {
      EXPECT_NEAR(one_logits[k], four_logits[static_cast<size_t>(i) * 10 + k], 1e-5);
    }
  }
}

TEST_F(SavedUnderBatchFourTest, IsThatOfAStoreSharedWithAPlanForOnePicture) {
  ZooSession one(CompileAs(SmallCnn(1), {}), {.store = trained_->store()});
  std::vector<float> four_logits(40), one_logits(10);
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(trained_->Predict().ok());
    ASSERT_TRUE(trained_->Read("eval", "logits", four_logits).ok());
    ASSERT_TRUE(one->Bind("image", trained_.input(0).data(), kPixels * 4).ok());
    ASSERT_TRUE(one->Predict().ok());
    ASSERT_TRUE(one->Read("eval", "logits", one_logits).ok());
    for (size_t k = 0; k < 10; ++k) EXPECT_NEAR(one_logits[k], four_logits[k], 1e-5);
    trained_.Train(1);
  }
}

TEST_F(SavedUnderBatchFourTest, OfAnotherOptimizerTheWeightsAloneAreTakenAndItIsSaid) {
  ZooSession adamw(CompileAs(SmallCnn(), {.optimizer = "adamw"}), {});
  ASSERT_TRUE(adamw->Restore(path_.c_str(), nullptr, &report_).ok());
  EXPECT_FALSE(report_.left_out.empty());
  EXPECT_THAT(report_.left_out, Each(EndsWith("/velocity")));
  EXPECT_EQ(report_.started_states.size(), 2 * report_.left_out.size());
  std::map<std::string, std::vector<float>> values;
  for (const ParamInfo& info : trained_->params()) {
    values[std::string(info.name)] = Param(trained_, info);
  }
  for (const ParamInfo& info : adamw->params()) {
    if (info.state) {
      EXPECT_THAT(Param(adamw, info), Each(0.0f)) << info.name;
    } else {
      EXPECT_EQ(Param(adamw, info), values[std::string(info.name)]) << info.name;
    }
  }
}

TEST_F(SavedUnderBatchFourTest, IsRefusedWhereFrozenLayersHaveOtherValues) {
  ZooSession head(CompileAs(SmallCnn(), {.scheme = "head"}), {});
  EXPECT_EQ(head->Restore(path_.c_str(), nullptr).code(), StatusCode::kFailedPrecondition);
}

// As a run goes on that trains less than before.
TEST_F(SavedUnderBatchFourTest, IsTakenByAPlanThatWasCompiledFromIt) {
  const Result<CheckpointContents> contents = ReadCheckpoint(path_.c_str());
  ASSERT_TRUE(contents.ok()) << contents.status().message();
  Outcome<ZooModel> zoo = BuildZooModel(SmallCnn(2), "", 1, nullptr);
  ASSERT_TRUE(zoo.ok()) << zoo.message();
  EXPECT_EQ(contents.value().model_identity, zoo->model.identity());
  for (const SavedValues& tensor : contents.value().tensors) {
    if (tensor.state) continue;
    ASSERT_TRUE(zoo->model.SetLearned(tensor.name, tensor.values).ok()) << tensor.name;
  }
  EXPECT_EQ(zoo->model.SetLearned("nothing", {1}).code(), StatusCode::kNotFound);
  EXPECT_EQ(zoo->model.SetLearned(contents.value().tensors[0].name, {1}).code(),
            StatusCode::kInvalidArgument);
  Outcome<Plan> plan = Compile(zoo->model, {.scheme = "head"}, {});
  ASSERT_TRUE(plan.ok()) << plan.message();
  ZooSession head(plan->bytes, {});
  std::map<std::string, std::vector<float>> base;
  for (const ParamInfo& info : trained_->params()) {
    std::vector<float>& values = base[std::string(info.name)];
    values.resize(static_cast<size_t>(info.shape.elems()));
    ASSERT_TRUE(trained_->ReadBaseParam(info.name, values).ok());
  }
  ASSERT_TRUE(head->Restore(path_.c_str(), nullptr, &report_).ok());
  EXPECT_THAT(report_.started_states, IsEmpty());
  EXPECT_FALSE(report_.left_out.empty()) << "velocities of layers that are frozen now";
  for (const ParamInfo& info : head->params()) {
    std::vector<float> values(static_cast<size_t>(info.shape.elems())), learned(values.size());
    ASSERT_TRUE(head->ReadParam(info.name, values).ok());
    ASSERT_TRUE(trained_->ReadParam(info.name, learned).ok());
    EXPECT_EQ(values, learned) << info.name;
    ASSERT_TRUE(head->ReadBaseParam(info.name, values).ok());
    EXPECT_EQ(values, base[std::string(info.name)]) << info.name;
  }
  // What it answers is what the session answers that learned it: the values are folded in.
  std::vector<float> four_logits(40), two_logits(20);
  ASSERT_TRUE(trained_->Predict().ok());
  ASSERT_TRUE(trained_->Read("eval", "logits", four_logits).ok());
  ASSERT_TRUE(head->Bind("image", trained_.input(0).data(), 2 * kPixels * 4).ok());
  ASSERT_TRUE(head->Predict().ok());
  ASSERT_TRUE(head->Read("eval", "logits", two_logits).ok());
  for (size_t k = 0; k < 20; ++k) EXPECT_NEAR(two_logits[k], four_logits[k], 1e-4);
  // What it saves has all that was ever learned, and goes back to the first plan.
  head.Train(1);
  ASSERT_TRUE(head->Save(path_.c_str(), "").ok());
  ASSERT_TRUE(trained_->Restore(path_.c_str(), nullptr, &report_).ok());
  EXPECT_THAT(report_.started_params, IsEmpty());
  EXPECT_FALSE(report_.started_states.empty());
}

TEST_F(SavedUnderBatchFourTest, IsNotForAnotherModel) {
  ZooSession mlp(CompileAs({.name = "mlp", .classes = 10, .batch = 4}, {}), {});
  EXPECT_EQ(mlp->Restore(path_.c_str(), nullptr).code(), StatusCode::kFailedPrecondition);
  ZooSession wider(CompileAs({.name = "small-cnn", .classes = 11, .batch = 4}, {}), {});
  EXPECT_EQ(wider->Restore(path_.c_str(), nullptr).code(), StatusCode::kFailedPrecondition);
}

TEST(HeadCheckpointTest, LetsAPlanThatLearnsMoreStartTheRestAndSaysSo) {
  const test::TempFolder folder;
  ZooSession head(CompileAs(SmallCnn(), {.scheme = "head", .batch_norm = BatchNormMode::kFrozen}),
                  {});
  head.Train(2);
  ASSERT_TRUE(head->Save(folder.File("c").c_str(), "").ok());
  ZooSession full(CompileAs(SmallCnn(), {.batch_norm = BatchNormMode::kFrozen}), {});
  full.Train(1);  // what starts anew does so from the model's values
  RestoreReport report;
  ASSERT_TRUE(full->Restore(folder.File("c").c_str(), nullptr, &report).ok());
  EXPECT_EQ(report.restored, 4);  // the classifier's weight and bias, and their velocities
  EXPECT_FALSE(report.started_params.empty());
  EXPECT_EQ(report.started_params.size(), report.started_states.size());
  for (const std::string& name : report.started_params) {
    for (const ParamInfo& info : full->params()) {
      if (info.name != name) continue;
      std::vector<float> now(static_cast<size_t>(info.shape.elems())), base(now.size());
      ASSERT_TRUE(full->ReadParam(name, now).ok());
      ASSERT_TRUE(full->ReadBaseParam(name, base).ok());
      EXPECT_EQ(now, base) << name;
    }
  }
}

}  // namespace
}  // namespace pocketune
