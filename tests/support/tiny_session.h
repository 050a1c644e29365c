// A session over the tiny plan, with its batch bound.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/reference/reference_kernels.h"
#include "pocketune/session.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_plan.h"

namespace pocketune::test {

inline SessionOptions ReferenceOptions(int threads = 1) {
  SessionOptions options;
  options.threads = threads;
  options.kernels = {ReferenceKernels()};
  return options;
}

inline Status BindBatch(Session& session, const TinyBatch& batch) {
  PT_RETURN_IF_ERROR(session.Bind("image", batch.image.data(), int64_t(batch.image.size()) * 4));
  PT_RETURN_IF_ERROR(session.Bind("label", batch.label.data(), int64_t(batch.label.size()) * 4));
  return session.Bind("weight", batch.weight.data(), int64_t(batch.weight.size()) * 4);
}

// Writes `spec` to a file, opens it, and binds a batch that lives as long as this.
class TinySession {
 public:
  explicit TinySession(const SessionOptions& options = ReferenceOptions(),
                       const PlanSpec& spec = TinyPlan()) {
    WriteBytes(folder_.File("plan"), BuildPlanFile(spec));
    Result<std::unique_ptr<Session>> session = Session::Open(folder_.File("plan").c_str(), options);
    status_ = session.status();
    if (!session.ok()) return;
    session_ = std::move(session.value());
    EXPECT_TRUE(BindBatch(*session_, batch_).ok());
  }

  // Of Open; where that failed there is no session.
  const Status& status() const { return status_; }
  Session* operator->() { return session_.get(); }
  Session& operator*() { return *session_; }
  TinyBatch& batch() { return batch_; }
  const TempFolder& folder() const { return folder_; }

  // The losses of so many steps.
  std::vector<float> Train(int steps, double learning_rate = 0.1) {
    std::vector<float> losses(static_cast<size_t>(steps));
    for (float& loss : losses) {
      const Status status = session_->TrainStep(learning_rate, &loss);
      EXPECT_TRUE(status.ok()) << status.message();
    }
    return losses;
  }

  // All parameters and states, one behind the other.
  std::vector<float> Params() {
    std::vector<float> all;
    for (const ParamInfo& info : session_->params()) {
      std::vector<float> values(static_cast<size_t>(info.shape.elems()));
      EXPECT_TRUE(session_->ReadParam(info.name, values).ok());
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

 private:
  TempFolder folder_;
  TinyBatch batch_;
  Status status_;
  std::unique_ptr<Session> session_;
};

}  // namespace pocketune::test
