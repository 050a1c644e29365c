#include "engine/runtime/parameter_store.h"

#include <gtest/gtest.h>

#include "tests/support/tiny_session.h"

namespace pocketune {
namespace {

using test::PlanSpec;
using test::ReferenceOptions;
using test::TinyPlan;
using test::TinySession;

SessionOptions On(TinySession& session) {
  SessionOptions options = ReferenceOptions();
  options.store = session->store();
  return options;
}

PlanSpec OtherPlan() {
  PlanSpec spec = TinyPlan();
  spec.metadata = R"({"other":1})";
  return spec;
}

TEST(ParameterStoreTest, WhatOneSessionLearnsTheOtherAnswersWith) {
  TinySession a;
  a.Train(2);
  TinySession b(On(a), OtherPlan());
  ASSERT_TRUE(b.status().ok()) << b.status().message();
  EXPECT_EQ(b.Params(), a.Params()) << "as they are, not as the plan has them";
  EXPECT_EQ(b->step(), 2u);
  a.Train(1);
  EXPECT_EQ(b.Params(), a.Params());
  b.Train(1);
  EXPECT_EQ(b.Params(), a.Params());
  TinySession straight;
  straight.Train(4);
  EXPECT_EQ(a.Params(), straight.Params()) << "taking turns differs from one session";
}

TEST(ParameterStoreTest, LivesAsLongAsOneOfItsSessions) {
  std::unique_ptr<TinySession> a = std::make_unique<TinySession>();
  a->Train(2);
  const std::vector<float> params = a->Params();
  TinySession b(On(*a), OtherPlan());
  a.reset();
  EXPECT_EQ(b.Params(), params);
  b.Train(1);
}

TEST(ParameterStoreTest, ARestoreIsSeenByAll) {
  TinySession a, saved;
  saved.Train(3);
  TinySession b(On(a), OtherPlan());
  ASSERT_TRUE(saved->Save(a.folder().File("c").c_str(), "").ok());
  ASSERT_TRUE(a->Restore(a.folder().File("c").c_str(), nullptr).ok());
  EXPECT_EQ(b.Params(), saved.Params());
  EXPECT_EQ(b->step(), 3u);
}

TEST(ParameterStoreTest, APlanThatDoesNotSuitIsRefusedAndChangesNothing) {
  TinySession a;
  a.Train(1);
  const std::vector<float> params = a.Params();
  std::vector<PlanSpec> bad(3, TinyPlan());
  bad[0].params[0].name = "fc0.weight";  // another model
  bad[1].segment[0] += 1;                // other weights
  bad[2].params[4].slices = 3;           // a state of something else
  for (const PlanSpec& spec : bad) {
    TinySession b(On(a), spec);
    EXPECT_EQ(b.status().code(), StatusCode::kFailedPrecondition) << b.status().message();
    EXPECT_EQ(a.Params(), params);
  }
}

TEST(ParameterStoreTest, StatesOfAnotherOptimizerJoinAtZero) {
  TinySession a;
  a.Train(1);
  PlanSpec spec = OtherPlan();
  spec.params[4].name = "fc2.weight.other";
  TinySession b(On(a), spec);
  ASSERT_TRUE(b.status().ok()) << b.status().message();
  std::vector<float> state(test::kTinyClasses * test::kTinyHidden, 1.0f);
  ASSERT_TRUE(b->ReadParam("fc2.weight.other", state).ok());
  EXPECT_EQ(state, std::vector<float>(state.size(), 0.0f));
  b.Train(1);
}

}  // namespace
}  // namespace pocketune
