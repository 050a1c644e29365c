// A model of one's own, with names of its own for all inputs and outputs, by the C library.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "engine/base/rng.h"
#include "pocketune.h"
#include "pocketune/compiler.h"
#include "pocketune/model_builder.h"

namespace pocketune {
namespace {

constexpr int kBatch = 4;
constexpr int64_t kCount = 12;
constexpr int kLength = 6;  // readings of a sample

std::string PlanOfOwnNames() {
  ModelBuilder net("own", kBatch);
  const Tensor x = net.Linear(net.Input("readings", {kBatch, kLength}),
                              {.name = "layers.0", .out = 9, .act = Activation::kTanh});
  net.Classify(net.Linear(x, {.name = "head", .out = 2}),
               {.prediction = "scores", .label = "kind", .sample_weight = "share", .loss = "cost"});
  const Outcome<Model> model = net.Build(/*seed=*/5);
  EXPECT_TRUE(model.ok()) << model.message();
  const Outcome<Plan> plan = Compile(model.value(), {}, {});
  EXPECT_TRUE(plan.ok()) << plan.message();
  return plan.ok() ? plan->bytes : "";
}

TEST(OwnNamesTest, TrainAndJudgeThroughTheCLibraryWithoutRenaming) {
  const std::string plan = PlanOfOwnNames();
  ptn_session* session = nullptr;
  ASSERT_EQ(ptn_session_open_memory(plan.data(), plan.size(), nullptr, &session), PTN_OK)
      << ptn_last_error();
  std::map<std::string, int32_t> roles;
  ptn_tensor_info info = {.struct_size = sizeof(info)};
  for (size_t i = 0; ptn_session_input(session, "train", i, &info) == PTN_OK; ++i) {
    roles[info.name] = info.role;
  }
  for (size_t i = 0; ptn_session_output(session, "train", i, &info) == PTN_OK; ++i) {
    roles[info.name] = info.role;
  }
  const std::map<std::string, int32_t> want = {{"readings", PTN_DATA},
                                               {"kind", PTN_LABEL},
                                               {"share", PTN_SAMPLE_WEIGHT},
                                               {"scores", PTN_PREDICTION},
                                               {"cost", PTN_LOSS}};
  EXPECT_EQ(roles, want);

  std::vector<float> readings(kCount * kLength);
  std::vector<int32_t> kinds(kCount);
  const RandomStream random(3, "readings");
  for (size_t i = 0; i < readings.size(); ++i) {
    readings[i] = random.Uniform(i) + (i / kLength % 2 == 0 ? 0.0f : -1.0f);
  }
  for (size_t i = 0; i < kinds.size(); ++i) kinds[i] = static_cast<int32_t>(i % 2);
  ptn_samples* samples = nullptr;
  ASSERT_EQ(ptn_samples_create(kCount, &samples), PTN_OK) << ptn_last_error();
  ASSERT_EQ(ptn_samples_add(samples, "readings", readings.data(), 4 * kLength), PTN_OK);
  ASSERT_EQ(ptn_samples_add(samples, "kind", kinds.data(), 4), PTN_OK);
  const ptn_trainer_options options = {
      .struct_size = sizeof(options), .lr = 0.1, .epochs = 30, .validation = samples};
  ptn_trainer* trainer = nullptr;
  ASSERT_EQ(ptn_trainer_create(session, samples, &options, &trainer), PTN_OK) << ptn_last_error();
  EXPECT_EQ(ptn_trainer_run(trainer, nullptr), PTN_OK) << ptn_last_error();
  EXPECT_EQ(ptn_trainer_free(trainer), PTN_OK);

  ptn_evaluation found = {.struct_size = sizeof(found)};
  ASSERT_EQ(ptn_session_evaluate(session, samples, &found), PTN_OK) << ptn_last_error();
  EXPECT_EQ(found.classes, 2u);
  EXPECT_EQ(found.samples, kCount);
  EXPECT_EQ(found.correct, kCount);
  EXPECT_EQ(ptn_samples_free(samples), PTN_OK);
  EXPECT_EQ(ptn_session_free(session), PTN_OK);
}

}  // namespace
}  // namespace pocketune
