// What the verifier lets through behind right checksums must run without harm.
#include <gtest/gtest.h>

#include "engine/plan/plan_verify.h"
#include "tests/support/tiny_session.h"

namespace pocketune {
namespace {

using Bytes = std::vector<uint8_t>;

// Opens the plan and takes a step of each kind; whatever comes of it, it comes as a Status.
bool RunsToTheEnd(const std::string& path, const test::TinyBatch& batch) {
  Result<std::unique_ptr<Session>> opened = Session::Open(path.c_str(), test::ReferenceOptions());
  if (!opened.ok()) return false;
  Session& session = *opened.value();
  if (!BindBatch(session, batch).ok()) return false;
  float loss;
  const bool trained = session.TrainStep(0.1, &loss).ok();
  const bool evaluated = session.EvalStep(&loss).ok();
  return session.Predict().ok() && trained && evaluated;
}

TEST(HostilePlanTest, DoesNoHarmWhicheverByteOfTheMetadataIsChanged) {
  const test::TempFolder folder;
  const test::TinyBatch batch;
  const test::PlanSpec spec = test::TinyPlan();
  const size_t metadata_bytes = test::BuildMetadata(spec).size();
  const Bytes file = test::BuildPlanFile(spec);
  const int64_t segment_bytes = int64_t(spec.segment.size() * sizeof(float));
  int accepted = 0, ran = 0, mutants = 0;
  for (size_t i = 0; i < metadata_bytes; ++i) {
    for (const uint8_t flip : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF}) {
      Bytes changed = file;
      changed[sizeof(PlanHeader) + i] ^= flip;
      ++mutants;
      const std::span<const uint8_t> metadata(changed.data() + sizeof(PlanHeader), metadata_bytes);
      if (!VerifyPlan(metadata, segment_bytes).ok()) continue;
      ++accepted;
      test::FixPlanChecksums(changed);
      test::WriteBytes(folder.File("p"), changed);
      ran += RunsToTheEnd(folder.File("p"), batch);
    }
  }
  RecordProperty("mutants", mutants);
  RecordProperty("accepted", accepted);
  RecordProperty("ran", ran);
  EXPECT_LT(accepted, mutants / 2);
  EXPECT_GT(ran, 0);
}

}  // namespace
}  // namespace pocketune
