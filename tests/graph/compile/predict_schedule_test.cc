// The schedule for one sample: which plans have it, and what it costs them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/plan/plan_file.h"
#include "engine/plan/plan_view.h"
#include "graph/compile/pipeline.h"
#include "pocketune/compiler.h"
#include "pocketune/model_builder.h"
#include "pocketune/zoo.h"

namespace pocketune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Plan CompileAs(const ModelSpec& spec, const TrainSpec& train, const Target& target = {}) {
  const Outcome<ZooModel> zoo = BuildZooModel(spec, "", 1, nullptr);
  EXPECT_TRUE(zoo.ok()) << zoo.message();
  Outcome<Plan> plan = Compile(zoo->model, train, target);
  EXPECT_TRUE(plan.ok()) << plan.message();
  return std::move(plan.value());
}

PlanFile Open(const Plan& plan) {
  return std::move(PlanFile::Open(std::span(reinterpret_cast<const uint8_t*>(plan.bytes.data()),
                                            plan.bytes.size()))
                       .value());
}

std::vector<std::string> SchedulesOf(const Plan& plan) {
  const PlanFile file = Open(plan);
  std::vector<std::string> names;
  for (const fb::Schedule* schedule : *file.plan().schedules()) {
    names.emplace_back(TextOf(schedule->name()));
  }
  return names;
}

ModelSpec SmallCnn(int batch) { return {.name = "small-cnn", .classes = 10, .batch = batch}; }

TEST(PredictScheduleTest, StandsInPlansForMoreThanOneSample) {
  EXPECT_THAT(SchedulesOf(CompileAs(SmallCnn(4), {})), ElementsAre("train", "eval", "predict"));
  const Plan one = CompileAs(SmallCnn(1), {});
  EXPECT_THAT(SchedulesOf(one), ElementsAre("train", "eval"));
  EXPECT_FALSE(one.figures.predicts_one);
}

TEST(PredictScheduleTest, HasItsRoleAndOneSampleOnly) {
  const Plan plan = CompileAs(SmallCnn(4), {});
  EXPECT_TRUE(plan.figures.predicts_one);
  const PlanFile file = Open(plan);
  const auto& schedules = *file.plan().schedules();
  EXPECT_EQ(schedules.Get(0)->role(), fb::ScheduleRole::Train);
  EXPECT_EQ(schedules.Get(1)->role(), fb::ScheduleRole::Eval);
  const fb::Schedule& predict = *schedules.Get(2);
  EXPECT_EQ(predict.role(), fb::ScheduleRole::Predict);
  ASSERT_EQ(predict.inputs()->size(), 1u);  // no labels
  ASSERT_EQ(predict.outputs()->size(), 1u);
  const auto shape_of = [&](const fb::Port& port) {
    return ShapeOf(*predict.tensors()->Get(uint32_t(port.tensor()))->dims());
  };
  EXPECT_EQ(shape_of(*predict.inputs()->Get(0)), (Shape{1, 28, 28, 1}));
  EXPECT_EQ(shape_of(*predict.outputs()->Get(0)), (Shape{1, 10}));
}

TEST(PredictScheduleTest, IsLeftOutOnRequest) {
  const Plan with = CompileAs(SmallCnn(4), {}),
             without = CompileAs(SmallCnn(4), {}, {.predicts_one = false});
  EXPECT_THAT(SchedulesOf(without), ElementsAre("train", "eval"));
  EXPECT_FALSE(without.figures.predicts_one);
  EXPECT_LT(without.figures.predicted_peak_bytes, with.figures.predicted_peak_bytes);
}

// A model, a scheme and a batch.
struct Cell {
  const char* model;
  const char* scheme;
  int batch;
};

class PredictScheduleCostTest : public ::testing::TestWithParam<Cell> {};

TEST_P(PredictScheduleCostTest, IsNoByteOfTheArenaAndNoPackedWeight) {
  const ModelSpec model = {.name = GetParam().model, .classes = 10, .batch = GetParam().batch};
  const TrainSpec train = {.scheme = GetParam().scheme};
  const PlanFigures with = CompileAs(model, train).figures;
  const PlanFigures without = CompileAs(model, train, {.predicts_one = false}).figures;
  EXPECT_TRUE(with.predicts_one);
  EXPECT_EQ(with.arena_bytes, without.arena_bytes);
  EXPECT_EQ(with.packed_bytes, without.packed_bytes);
  EXPECT_EQ(with.param_bytes, without.param_bytes);
  EXPECT_EQ(with.steps, without.steps);
  // Tables of its steps, and what they weigh in the file, in pages; where biases learn, layers of
  // few pixels read their frozen weights as they are, which batches have packed.
  const int64_t tables = with.steps * 2048 + 8192;
  const int64_t weights = train.scheme == "bias" ? with.params * 4 : 0;
  EXPECT_LE(with.predicted_peak_bytes - without.predicted_peak_bytes, tables + weights);
}

std::string NameOf(const ::testing::TestParamInfo<Cell>& info) {
  std::string name = std::string(info.param.model) + "_" + info.param.scheme + "_" +
                     std::to_string(info.param.batch);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cells, PredictScheduleCostTest,
                         ::testing::Values(Cell{"resnet8", "full", 2}, Cell{"resnet8", "bias", 32},
                                           Cell{"resnet8", "head", 8}, Cell{"ds-cnn", "bias", 32},
                                           Cell{"ds-cnn", "head", 2},
                                           Cell{"mcunet-in0", "bias", 32},
                                           Cell{"mcunet-in0", "blocks:2", 8},
                                           Cell{"mbv2-w0.35", "bias", 4}),
                         NameOf);

TEST(PredictScheduleTest, GetsWhatAMemoryBudgetLeaves) {
  const ModelSpec model = {.name = "resnet8", .classes = 10, .batch = 8};
  const TrainSpec train = {.scheme = "blocks:1"};
  const PlanFigures with = CompileAs(model, train).figures;
  const PlanFigures without = CompileAs(model, train, {.predicts_one = false}).figures;
  const Plan fits = CompileAs(model, train, {.memory_bytes = with.predicted_peak_bytes});
  EXPECT_THAT(SchedulesOf(fits), ElementsAre("train", "eval", "predict"));
  EXPECT_EQ(fits.figures.memory.given_up, "");
  const Plan close = CompileAs(model, train, {.memory_bytes = with.predicted_peak_bytes - 1});
  EXPECT_THAT(SchedulesOf(close), ElementsAre("train", "eval"));
  EXPECT_EQ(close.figures.predicted_peak_bytes, without.predicted_peak_bytes);
  EXPECT_EQ(close.figures.arena_bytes, with.arena_bytes) << "training gives nothing up for it";
  EXPECT_THAT(close.figures.memory.given_up, HasSubstr("a prediction of one sample takes as long"));
  const Plan asked = CompileAs(
      model, train, {.predicts_one = false, .memory_bytes = with.predicted_peak_bytes - 1});
  EXPECT_EQ(asked.figures.memory.given_up, "") << "nobody wanted it";
}

}  // namespace
}  // namespace pocketune
