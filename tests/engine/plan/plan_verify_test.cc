#include "engine/plan/plan_verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <functional>
#include <string>

#include "tests/support/tiny_plan.h"

namespace pocketune {
namespace {

using test::PlanSpec;
using ::testing::HasSubstr;

Status Verify(const PlanSpec& spec) {
  return VerifyPlan(test::BuildMetadata(spec), int64_t(spec.segment.size() * sizeof(float)));
}

// A sound plan with one thing spoilt, and what must be said of it.
struct Spoilt {
  const char* name;
  std::function<void(PlanSpec&)> spoil;
  const char* message;
};

test::ScheduleSpec& Train(PlanSpec& p) { return p.schedules[0]; }
test::ScheduleSpec& Eval(PlanSpec& p) { return p.schedules[1]; }
test::TensorSpec& Tensor(PlanSpec& p, int i) { return Train(p).tensors[size_t(i)]; }
test::StepSpec& Step(PlanSpec& p, const std::string& op, int nth = 0) {
  for (test::StepSpec& step : Train(p).steps) {
    if (step.op == op && nth-- == 0) return step;
  }
  ADD_FAILURE() << "no step " << op;
  return Train(p).steps[0];
}

class SpoiltPlanTest : public ::testing::TestWithParam<Spoilt> {};

TEST_P(SpoiltPlanTest, IsRefusedForTheRightReason) {
  PlanSpec spec = test::TinyPlan();
  GetParam().spoil(spec);
  const Status status = Verify(spec);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr(GetParam().message));
}

const Spoilt kSizes[] = {
    {"OldVersion", [](PlanSpec& p) { p.version = 0; }, "unknown version"},
    {"NewVersion", [](PlanSpec& p) { p.version = 4; }, "newer version"},
    {"NoName", [](PlanSpec& p) { p.name = ""; }, "name is empty"},
    {"NegativeArena", [](PlanSpec& p) { p.arena_bytes = -64; }, "size is out of range"},
    {"HugeParams", [](PlanSpec& p) { p.param_bytes = INT64_MAX; }, "size is out of range"},
    {"NoSlots", [](PlanSpec& p) { p.slots = 0; }, "number of slots"},
    {"UnknownIsa", [](PlanSpec& p) { p.isa = 5; }, "unknown instruction set"},
    {"SmallArena", [](PlanSpec& p) { p.arena_bytes -= 64; }, "outside the arena"},
    {"SmallRam", [](PlanSpec& p) { p.optimizer_bytes = 0; }, "outside the memory of parameters"},
    {"SmallSegment", [](PlanSpec& p) { p.segment.resize(16); }, "outside the segment"},
    {"ManySchedules", [](PlanSpec& p) { p.schedules.resize(17, Eval(p)); }, "too many schedules"},
    {"TwoEvals", [](PlanSpec& p) { p.schedules.push_back(Eval(p)); }, "schedules have the same"},
    {"UnknownScheduleRole", [](PlanSpec& p) { Eval(p).role = fb::ScheduleRole(4); },
     "role is unknown"},
};
const Spoilt kParams[] = {
    {"SameNames", [](PlanSpec& p) { p.params[1].name = p.params[0].name; }, "have the same name"},
    {"LongName", [](PlanSpec& p) { p.params[0].name.assign(257, 'x'); }, "too long"},
    {"UnknownRole", [](PlanSpec& p) { p.params[0].role = 7; }, "role or place"},
    {"SharedRam", [](PlanSpec& p) { p.params[4].ram_offset -= 64; }, "share memory"},
    {"CrookedRam", [](PlanSpec& p) { p.params[3].ram_offset += 4; }, "outside the memory"},
    {"StateInFile", [](PlanSpec& p) { p.params[4].segment_offset = 0; }, "state has bytes"},
    {"FrozenInRam", [](PlanSpec& p) { p.params[0].ram_offset = 0; }, "does not learn"},
    {"HugeDims",
     [](PlanSpec& p) {
       p.params[0].dims = {INT_MAX, INT_MAX, 9};
     },
     "too many elem"},
    {"UnknownLayout", [](PlanSpec& p) { p.params[0].layout = 4; }, "layout is not one"},
    {"ConvOfTwoDims", [](PlanSpec& p) { p.params[0].layout = 2; }, "layout is not one"},
    {"DepthwiseOfTwoDims", [](PlanSpec& p) { p.params[0].layout = 3; }, "layout is not one"},
    {"SevenDims", [](PlanSpec& p) { p.params[0].dims.assign(7, 1); }, "too many dimensions"},
};
const Spoilt kTensors[] = {
    {"Dtype", [](PlanSpec& p) { Tensor(p, 0).dtype = DType::kF64; }, "neither f32, i32 nor u8"},
    {"Storage", [](PlanSpec& p) { Tensor(p, 0).storage = fb::Storage(4); }, "storage is unknown"},
    {"OtherParamShape",
     [](PlanSpec& p) {
       Tensor(p, test::kTinyW1).dims = {7, 11};
     },
     "not shaped"},
    {"NoParam", [](PlanSpec& p) { Tensor(p, test::kTinyW1).offset = 5; }, "names no parameter"},
    {"CrookedConstant", [](PlanSpec& p) { Tensor(p, test::kTinyB1).offset += 4; }, "constant lies"},
    {"InputIsParam", [](PlanSpec& p) { Train(p).inputs[0].tensor = test::kTinyW1; },
     "in the arena"},
    {"OutputIsLabel", [](PlanSpec& p) { Train(p).outputs[0].tensor = test::kTinyLabel; },
     "not f32"},
    {"SamePorts", [](PlanSpec& p) { Train(p).inputs[0].name = "label"; }, "ports have the same"},
    {"InputIsALoss", [](PlanSpec& p) { Train(p).inputs[0].role = 5; }, "input has another role"},
    {"OutputIsALabel", [](PlanSpec& p) { Eval(p).outputs[0].role = 2; }, "output has another role"},
    {"UnknownInputRole", [](PlanSpec& p) { Train(p).inputs[0].role = 255; },
     "input has another role"},
    {"UnknownOutputRole", [](PlanSpec& p) { Train(p).outputs[0].role = 7; },
     "output has another role"},
    {"SameInputs", [](PlanSpec& p) { Train(p).inputs[1].tensor = 0; }, "inputs are the same"},
    {"OverlappingInputs", [](PlanSpec& p) { Tensor(p, 2).offset = 0; }, "inputs share bytes"},
    {"OtherEvalInput",
     [](PlanSpec& p) { std::swap(Eval(p).inputs[0].name, Eval(p).inputs[2].name); },
     "differs in shape between schedules"},
};
const Spoilt kSteps[] = {
    {"UnknownOp", [](PlanSpec& p) { Step(p, "relu").op = "rellu"; }, "unknown op"},
    {"OtherOp", [](PlanSpec& p) { Step(p, "relu").op = "matmul"; }, "attributes: wrong number"},
    {"Phase", [](PlanSpec& p) { Step(p, "relu").phase = 3; }, "phase is unknown"},
    {"NoAttrs", [](PlanSpec& p) { Step(p, "sgd").attrs.clear(); }, "attributes: wrong number"},
    {"BadAct", [](PlanSpec& p) { Step(p, "matmul").attrs[4] = 9; }, "attributes: a value is out"},
    {"Transposed", [](PlanSpec& p) { Step(p, "matmul").attrs[1] = 0; }, "inner dimensions differ"},
    {"OneOperand", [](PlanSpec& p) { Step(p, "matmul").operands.resize(1); }, "number of operands"},
    {"TwoResults",
     [](PlanSpec& p) {
       Step(p, "relu").results = {8, 8};
     },
     "wrong number"},
    {"OtherShape", [](PlanSpec& p) { Step(p, "matmul", 1).results = {test::kTinyDw2}; },
     "another shape than its operands"},
    {"ScratchOutside",
     [](PlanSpec& p) {
       Step(p, "relu").scratch_offset = 0;
       Step(p, "relu").scratch_bytes = p.arena_bytes + 1;
     },
     "scratch lies outside"},
    {"ReadsNothing", [](PlanSpec& p) { Tensor(p, test::kTinyB1).storage = fb::Storage::None; },
     "reads a tensor without bytes"},
    {"WritesNothing", [](PlanSpec& p) { Tensor(p, test::kTinyNewB2).storage = fb::Storage::None; },
     "does not overwrite the parameter"},
    {"KeepsNothing", [](PlanSpec& p) { Tensor(p, test::kTinyDloss).storage = fb::Storage::None; },
     "no result that is kept"},
    {"UpdatesFrozen",
     [](PlanSpec& p) {
       p.params[3].trainable = false;
       p.params[3].ram_offset = -1;
     },
     "does not overwrite the parameter that it reads"},
    {"UpdatesAnother", [](PlanSpec& p) { Tensor(p, test::kTinyNewW2).offset = 4; },
     "does not overwrite the parameter that it reads"},
    {"UpdatesInEval", [](PlanSpec& p) { Train(p).name = "test"; },
     "outside a schedule that trains"},
    {"UpdatesInPredict", [](PlanSpec& p) { Train(p).role = fb::ScheduleRole::Predict; },
     "outside a schedule that trains"},
    {"WritesConstant",
     [](PlanSpec& p) { Tensor(p, test::kTinyAffine).storage = fb::Storage::Const; },
     "writes a parameter or a constant"},
};
const Spoilt kLiveness[] = {
    {"ReadsTooEarly", [](PlanSpec& p) { std::swap(Train(p).steps[0], Train(p).steps[2]); },
     "nothing has produced"},
    {"ProducesTwice", [](PlanSpec& p) { Train(p).steps.push_back(Step(p, "fill")); },
     "produced twice"},
    {"WritesInput",
     [](PlanSpec& p) {
       Train(p).inputs.push_back({"affine", test::kTinyAffine});
     },
     "produced twice"},
    {"OutputNotProduced", [](PlanSpec& p) { Train(p).steps.erase(Train(p).steps.begin() + 3); },
     "nothing has produced"},
    {"ReadsOldWeight",
     [](PlanSpec& p) {
       const test::StepSpec forward = Step(p, "matmul", 1);
       Train(p).tensors.push_back(Tensor(p, test::kTinyLogits));
       Train(p).steps.push_back(forward);
       Train(p).steps.back().results = {int32_t(Train(p).tensors.size()) - 1};
     },
     "an update has overwritten"},
    {"OverwritesLogits",
     [](PlanSpec& p) { Tensor(p, test::kTinyLoss).offset = Tensor(p, test::kTinyLogits).offset; },
     "still to be read"},
    {"OverwritesLabel",
     [](PlanSpec& p) { Tensor(p, test::kTinyDlogits).offset = Tensor(p, test::kTinyLabel).offset; },
     "still to be read"},
    {"OverwritesOutput",
     [](PlanSpec& p) { Tensor(p, test::kTinyDb2).offset = Tensor(p, test::kTinyLoss).offset; },
     "still to be read"},
    {"InPlaceWhileNeeded",
     [](PlanSpec& p) { Step(p, "matmul", 2).operands[1] = test::kTinyAffine; }, "still to be read"},
    {"InPlaceShifted", [](PlanSpec& p) { Tensor(p, test::kTinyHiddenOut).offset += 64; },
     "still to be read"},
    {"ScratchOnOperand",
     [](PlanSpec& p) {
       Step(p, "matmul", 1).scratch_offset = Tensor(p, test::kTinyHiddenOut).offset;
       Step(p, "matmul", 1).scratch_bytes = 1;
     },
     "scratch overwrites"},
    {"ScratchOnResult",
     [](PlanSpec& p) {
       Step(p, "matmul", 1).scratch_offset = Tensor(p, test::kTinyLogits).offset;
       Step(p, "matmul", 1).scratch_bytes = 4;
     },
     "scratch overwrites"},
};

// Steps 0 to 2 of the tiny plan: a matmul, its relu in place, a matmul.
const Spoilt kLoops[] = {
    {"LoopBeyondTheEnd",
     [](PlanSpec& p) {
       Train(p).loops = {{0, 99, 5}};
     },
     "loop is out of range"},
    {"LoopsThatOverlap",
     [](PlanSpec& p) {
       Train(p).loops = {{0, 0, 5}, {0, 0, 5}};
     },
     "loop is out of range"},
    {"LoopOfOnePart",
     [](PlanSpec& p) {
       Train(p).loops = {{0, 0, 1}};
     },
     "loop is out of range"},
    {"UnevenParts",
     [](PlanSpec& p) {
       Train(p).loops = {{0, 0, 2}};
     },
     "cannot run in a loop"},
    {"LoopOfTheLoss",
     [](PlanSpec& p) {
       Train(p).loops = {{0, 3, 5}};
     },
     "cannot run in a loop"},
    {"LoopOverwritesTheBatch",
     [](PlanSpec& p) {
       Train(p).loops = {{0, 1, 5}};
     },
     "later parts of the batch need"},
    {"PartOutsideOfLoops", [](PlanSpec& p) { Tensor(p, test::kTinyDlogits).parts = 5; },
     "makes a part of the batch"},
    {"PartOfAnotherLoop",
     [](PlanSpec& p) {
       Tensor(p, test::kTinyAffine).parts = 5;
       Train(p).loops = {{0, 0, 5}};
     },
     "reads a part of the batch from outside"},
    {"PartOfAnInput", [](PlanSpec& p) { Tensor(p, test::kTinyImage).parts = 5; },
     "names one part of the batch"},
    {"NegativeParts", [](PlanSpec& p) { Tensor(p, test::kTinyLogits).parts = -1; },
     "number of parts"},
    {"SumWithoutRoom",
     [](PlanSpec& p) {
       for (int32_t i = 0; i < int32_t(Train(p).steps.size()); ++i) {
         if (Train(p).steps[size_t(i)].op == "reduce_sum") Train(p).loops = {{i, i, 5}};
       }
     },
     "no room to sum"},
};

std::string NameOf(const ::testing::TestParamInfo<Spoilt>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Sizes, SpoiltPlanTest, ::testing::ValuesIn(kSizes), NameOf);
INSTANTIATE_TEST_SUITE_P(Params, SpoiltPlanTest, ::testing::ValuesIn(kParams), NameOf);
INSTANTIATE_TEST_SUITE_P(Tensors, SpoiltPlanTest, ::testing::ValuesIn(kTensors), NameOf);
INSTANTIATE_TEST_SUITE_P(Steps, SpoiltPlanTest, ::testing::ValuesIn(kSteps), NameOf);
INSTANTIATE_TEST_SUITE_P(Liveness, SpoiltPlanTest, ::testing::ValuesIn(kLiveness), NameOf);
INSTANTIATE_TEST_SUITE_P(Loops, SpoiltPlanTest, ::testing::ValuesIn(kLoops), NameOf);

TEST(PlanVerifyTest, TakesASoundPlan) {
  const Status status = Verify(test::TinyPlan());
  EXPECT_TRUE(status.ok()) << status.message() << " " << status.detail();
}

TEST(PlanVerifyTest, TakesPredictionsOnInputsOfAnotherShape) {
  PlanSpec spec = test::TinyPredictingPlan();
  EXPECT_EQ(spec.schedules[2].tensors[0].dims[0], 1);
  const Status status = Verify(spec);
  EXPECT_TRUE(status.ok()) << status.message() << " " << status.detail();
  spec.schedules[2].role = fb::ScheduleRole::Eval;
  EXPECT_THAT(Verify(spec).message(), HasSubstr("differs in shape between schedules"));
}

TEST(PlanVerifyTest, GoesByTheRoleWhereOneIsStated) {
  PlanSpec spec = test::TinyPlan();
  Train(spec).name = "fine-tune";
  Train(spec).role = fb::ScheduleRole::Train;
  const Status status = Verify(spec);
  EXPECT_TRUE(status.ok()) << status.message() << " " << status.detail();
}

// Both values between the steps have room for one part, the last result for all.
TEST(PlanVerifyTest, TakesAPlanThatStatesRoles) {
  const Status status = Verify(test::TinyPlanOfOtherNames());
  EXPECT_TRUE(status.ok()) << status.message() << status.detail();
}

TEST(PlanVerifyTest, TakesALoopOverPartsOfTheBatch) {
  PlanSpec spec = test::TinyPlan();
  Tensor(spec, test::kTinyAffine).parts = Tensor(spec, test::kTinyHiddenOut).parts = 5;
  Train(spec).loops = {{0, 2, 5}};
  const Status status = Verify(spec);
  // The backward pass of the tiny plan reads what the loop drops.
  EXPECT_THAT(status.message(), HasSubstr("from outside its loop"));
  Eval(spec).tensors[test::kTinyAffine].parts = Eval(spec).tensors[test::kTinyHiddenOut].parts = 5;
  Eval(spec).loops = {{0, 2, 5}};
  spec.schedules = {Eval(spec)};
  EXPECT_TRUE(Verify(spec).ok()) << Verify(spec).message();
}

TEST(PlanVerifyTest, NamesTheStepAtFault) {
  PlanSpec spec = test::TinyPlan();
  Step(spec, "momentum").phase = 9;
  EXPECT_EQ(Verify(spec).detail(), 7);
}

TEST(PlanVerifyTest, LetsAViewLiveBesideWhatItShows) {
  PlanSpec spec = test::TinyPlan();
  const int32_t view = int32_t(Train(spec).tensors.size());
  Train(spec).tensors.push_back(Tensor(spec, test::kTinyHiddenOut));
  Train(spec).tensors.back().dims = {test::kTinyHidden, test::kTinySamples};
  Train(spec).steps.insert(Train(spec).steps.begin() + 2,
                           {.op = "reshape",
                            .operands = {test::kTinyHiddenOut},
                            .results = {view},
                            .attrs = test::AttrBytes(ShapeAttrs{.shape = {11, 5}})});
  EXPECT_TRUE(Verify(spec).ok()) << Verify(spec).message();
  // As an output it keeps the bytes from being re-used to the end.
  Train(spec).outputs.push_back({"view", view});
  EXPECT_TRUE(Verify(spec).ok()) << Verify(spec).message();
  Tensor(spec, test::kTinyDb2).offset = Tensor(spec, test::kTinyHiddenOut).offset;
  EXPECT_THAT(Verify(spec).message(), HasSubstr("still to be read"));
}

TEST(PlanVerifyTest, LetsDeadBytesBeUsedAgain) {
  PlanSpec spec = test::TinyPlan();
  // The image has been read by the first step for the last time.
  Tensor(spec, test::kTinyDw2).offset = Tensor(spec, test::kTinyImage).offset;
  EXPECT_TRUE(Verify(spec).ok()) << Verify(spec).message();
}

TEST(PlanVerifyTest, LetsAStepOverwriteBothItsEqualOperands) {
  PlanSpec spec = test::TinyPlan();
  Step(spec, "relu") = {
      .op = "mul", .operands = {test::kTinyAffine, test::kTinyAffine}, .results = {8}};
  EXPECT_TRUE(Verify(spec).ok()) << Verify(spec).message();
}

TEST(PlanVerifyTest, RefusesEveryIndexOutOfRange) {
  const PlanSpec sound = test::TinyPlan();
  const int32_t count = int32_t(sound.schedules[0].tensors.size());
  for (const int32_t bad : {-2, -1, count, count + 1, INT_MIN, INT_MAX}) {
    for (size_t s = 0; s < sound.schedules[0].steps.size(); ++s) {
      for (const bool operand : {true, false}) {
        PlanSpec spec = sound;
        auto& indices = operand ? Train(spec).steps[s].operands : Train(spec).steps[s].results;
        for (int32_t& index : indices) {
          const int32_t good = std::exchange(index, bad);
          EXPECT_FALSE(Verify(spec).ok()) << "step " << s << " index " << bad;
          index = good;
        }
      }
    }
    for (size_t i = 0; i < 3; ++i) {
      PlanSpec spec = sound;
      Train(spec).inputs[i].tensor = bad;
      EXPECT_FALSE(Verify(spec).ok()) << "input " << i << " index " << bad;
    }
    for (size_t i = 0; i < 2; ++i) {
      PlanSpec spec = sound;
      Train(spec).outputs[i].tensor = bad;
      EXPECT_FALSE(Verify(spec).ok()) << "output " << i << " index " << bad;
    }
  }
}

TEST(PlanVerifyTest, RefusesEveryOffsetAndDimensionOutOfRange) {
  const PlanSpec sound = test::TinyPlan();
  for (size_t t = 0; t < sound.schedules[0].tensors.size(); ++t) {
    for (const int64_t bad : {int64_t{-64}, int64_t{-1}, INT64_MAX, INT64_MAX - 63, INT64_MIN,
                              int64_t{1} << 32, int64_t{1} << 62}) {
      PlanSpec spec = sound;
      Train(spec).tensors[t].offset = bad;
      EXPECT_FALSE(Verify(spec).ok()) << "tensor " << t << " offset " << bad;
    }
    for (size_t d = 0; d < sound.schedules[0].tensors[t].dims.size(); ++d) {
      for (const int32_t bad : {0, -1, INT_MIN, INT_MAX, 32768}) {
        PlanSpec spec = sound;
        Train(spec).tensors[t].dims[d] = bad;
        EXPECT_FALSE(Verify(spec).ok()) << "tensor " << t << " dimension " << bad;
      }
    }
  }
  for (size_t p = 0; p < sound.params.size(); ++p) {
    for (const int64_t bad : {int64_t{-64}, int64_t{-2}, INT64_MAX, INT64_MIN, int64_t{1} << 62}) {
      PlanSpec spec = sound;
      spec.params[p].segment_offset = bad;
      EXPECT_FALSE(Verify(spec).ok()) << "parameter " << p << " offset " << bad;
      spec = sound;
      spec.params[p].ram_offset = bad;
      EXPECT_FALSE(Verify(spec).ok()) << "parameter " << p << " memory " << bad;
    }
  }
}

}  // namespace
}  // namespace pocketune
