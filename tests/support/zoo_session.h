// A model of the zoo, compiled for the CPU backend, with a batch of random data bound.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/rng.h"
#include "pocketune/compiler.h"
#include "pocketune/cpu.h"
#include "pocketune/zoo.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {

// The plan's bytes; labels are 0 to 9.
inline std::string CompileZooModel(const ModelSpec& model_spec, const std::string& scheme,
                                   int threads, int micro_batch = 0) {
  Outcome<ZooModel> model = BuildZooModel(model_spec, "", 1, nullptr);
  EXPECT_TRUE(model.ok()) << model.message();
  if (!model.ok()) return "";
  TrainSpec train;
  train.scheme = scheme;
  train.micro_batch = micro_batch;
  Outcome<Plan> plan = Compile(model->model, train, {.threads = threads});
  EXPECT_TRUE(plan.ok()) << plan.message();
  return plan.ok() ? plan->bytes : "";
}

// Relative distance of what two runs have learned, over all parameters and states.
inline double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double moved = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    moved += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    size += double{a[i]} * a[i];
  }
  return std::sqrt(moved / size);
}

class ZooSession {
 public:
  ZooSession(const std::string& plan, const SessionOptions& options) {
    WriteBytes(folder_.File("plan"), {plan.begin(), plan.end()});
    Result<std::unique_ptr<Session>> session =
        OpenCpuSession(folder_.File("plan").c_str(), options);
    EXPECT_TRUE(session.ok()) << session.status().message();
    session_ = std::move(session).value();
    for (const PortInfo& port : session_->inputs("train")) Bind(port);
  }

  Session* operator->() { return session_.get(); }
  // What is bound to input `index` of the schedule "train".
  const std::vector<float>& input(size_t index) const { return inputs_[index]; }

  // Losses, then all parameters, statistics and states, after `steps`.
  std::vector<float> Train(int steps) {
    std::vector<float> all;
    for (int i = 0; i < steps; ++i) {
      float loss = 0;
      const Status status = session_->TrainStep(0.01, &loss);
      EXPECT_TRUE(status.ok()) << status.message();
      all.push_back(loss);
    }
    for (const ParamInfo& info : session_->params()) {
      std::vector<float> values(static_cast<size_t>(info.shape.elems()));
      EXPECT_TRUE(session_->ReadParam(info.name, values).ok());
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

 private:
  void Bind(const PortInfo& port) {
    const int64_t n = port.shape.elems();
    std::vector<float>& values = inputs_.emplace_back(n, 1.0f);
    const RandomStream stream(1, port.name);
    for (int64_t i = 0; i < n && port.name == "image"; ++i) values[i] = 2 * stream.Uniform(i) - 1;
    for (int64_t i = 0; i < n && port.dtype == DType::kI32; ++i) {
      reinterpret_cast<int32_t*>(values.data())[i] = static_cast<int32_t>(i % 10);
    }
    EXPECT_TRUE(session_->Bind(port.name, values.data(), n * 4).ok());
  }

  TempFolder folder_;
  std::vector<std::vector<float>> inputs_;
  std::unique_ptr<Session> session_;
};

}  // namespace pocketune::test
