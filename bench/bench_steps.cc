// The engine's side of run.py: answers one-line commands on stdin with one line of JSON each.
//
//   setup {json}  compiles a plan in a child process, opens it, binds the inputs. Keys: model, size
//                 (0: the model's own), batch, scheme, threads, lr, weights (safetensors), image
//                 (f32[N,H,W,C], raw), label (i32[N], raw), plan (file to write).
//   step N        runs N training steps: {"ns": [...], "loss": of the last}
//   params PATH   writes all parameters as safetensors, PyTorch's names and layouts
//   memory        {"peak_bytes": highest resident size above that before setup, but for params}
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "backends/cpu/cpu_kernels.h"
#include "engine/base/clock.h"
#include "engine/base/resident_memory.h"
#include "graph/ir/graph.h"
#include "nlohmann/json.hpp"
#include "pocketune/compiler.h"
#include "pocketune/cpu.h"
#include "pocketune/weights.h"
#include "pocketune/zoo.h"

namespace pocketune {
namespace {

using Json = nlohmann::json;

Json Error(const std::string& message) { return {{"error", message}}; }

template <typename T>
std::vector<T> ReadRaw(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::vector<T> values(file ? static_cast<size_t>(file.tellg()) / sizeof(T) : 0);
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
  return values;
}

// Empty where all went well.
std::string CompileTo(const Json& setup) {
  ModelSpec spec;
  spec.name = setup.at("model");
  spec.resolution = setup.at("size");
  spec.batch = setup.at("batch");
  Outcome<ZooModel> model = BuildZooModel(spec, setup.at("weights"), 0, nullptr);
  if (!model.ok()) return model.message();
  TrainSpec train;
  train.scheme = setup.at("scheme");
  train.optimizer = "sgd";
  Target target;
  target.threads = setup.at("threads");
  Outcome<Plan> plan = Compile(model->model, train, target);
  if (!plan.ok()) return plan.message();
  Outcome<bool> written = plan->Write(setup.at("plan"));
  return written.ok() ? "" : written.message();
}

// In a child, as on a device: what compiling takes is not the step's memory.
std::string CompileInChild(const Json& setup) {
  const pid_t child = fork();
  if (child < 0) return "fork failed";
  if (child == 0) {
    std::string error;
    try {
      error = CompileTo(setup);
    } catch (const std::exception& e) {
      error = e.what();
    }
    if (!error.empty()) std::fprintf(stderr, "%s\n", error.c_str());
    _exit(error.empty() ? 0 : 1);
  }
  int status = 0;
  const bool done = waitpid(child, &status, 0) == child && WIFEXITED(status);
  return done && WEXITSTATUS(status) == 0 ? "" : "compiling failed, see stderr";
}

// Running statistics can be written too, but no gradient reaches them.
bool Learns(const ParamInfo& param) {
  const ParamRole role = static_cast<ParamRole>(param.role);
  return param.trainable && !param.state && role != ParamRole::kNormMean &&
         role != ParamRole::kNormVar;
}

// The highest resident size since Start, above that at Start, but for pauses.
class PeakMemory {
 public:
  void Start() {
    RestartResidentPeak();
    baseline_ = ResidentBytes();
  }
  int64_t Bytes() {
    seen_ = std::max(seen_, PeakResidentBytes() - baseline_);
    return seen_;
  }
  void Pause() { Bytes(); }
  void Resume() {
    malloc_trim(0);  // gives back what was freed meanwhile
    RestartResidentPeak();
  }

 private:
  int64_t baseline_ = 0, seen_ = 0;
};

class Engine {
 public:
  Json Setup(const Json& setup) {
    const double begin = NowSeconds();
    if (const std::string error = CompileInChild(setup); !error.empty()) return Error(error);
    const double compiled = NowSeconds();
    memory_.Start();
    lr_ = setup.at("lr");
    image_ = ReadRaw<float>(setup.at("image"));
    label_ = ReadRaw<int32_t>(setup.at("label"));
    weight_.assign(label_.size(), 1.0f);
    SessionOptions options;
    options.threads = setup.at("threads");
    const std::string plan = setup.at("plan");
    Result<std::unique_ptr<Session>> session = OpenCpuSession(plan.c_str(), options);
    if (!session.ok()) return Error(session.status().message());
    session_ = std::move(session).value();
    const auto bind = [&](const char* name, const auto& values) {
      return session_->Bind(name, values.data(),
                            static_cast<int64_t>(values.size() * sizeof(values[0])));
    };
    for (const Status& status :
         {bind("image", image_), bind("label", label_), bind("weight", weight_)}) {
      if (!status.ok()) return Error(status.message());
    }
    Json learns = Json::array();
    for (const ParamInfo& param : session_->params()) {
      if (Learns(param)) learns.push_back(std::string(param.name));
    }
    return {{"trainable", learns},
            {"compile_s", compiled - begin},
            {"setup_s", NowSeconds() - compiled},
            {"isa", NameOf(CurrentIsa())},
            {"predicted_peak_bytes", session_->memory().predicted_peak_bytes}};
  }

  Json Step(int count) {
    Json times = Json::array();
    float loss = 0;
    for (int i = 0; i < count; ++i) {
      const int64_t begin = NowNs();
      const Status status = session_->TrainStep(lr_, &loss);
      times.push_back(NowNs() - begin);
      if (!status.ok()) return Error(status.message());
    }
    return {{"ns", times}, {"loss", loss}};
  }

  Json Params(const std::string& path) {
    std::vector<NamedWeights> tensors;
    for (const ParamInfo& param : session_->params()) {
      if (param.state) continue;
      std::vector<float> values(param.shape.elems());
      const Status status = session_->ReadParam(param.name, values);
      if (!status.ok()) return Error(status.message());
      tensors.push_back({std::string(param.name), param.shape, param.layout, std::move(values)});
    }
    const size_t count = tensors.size();
    const Outcome<bool> written = WriteWeights(path, std::move(tensors));
    return written.ok() ? Json({{"tensors", count}}) : Error(written.message());
  }

  // Without the memory that it takes: these copies are the harness's.
  Json ParamsAside(const std::string& path) {
    memory_.Pause();
    Json answer = Params(path);
    memory_.Resume();
    return answer;
  }

  Json Answer(const std::string& command, const std::string& argument) {
    if (command == "setup") return Setup(Json::parse(argument));
    if (session_ == nullptr) return Error("not set up");
    if (command == "step") return Step(std::stoi(argument));
    if (command == "params") return ParamsAside(argument);
    if (command == "memory") return {{"peak_bytes", memory_.Bytes()}};
    return Error("unknown command (got " + command + ")");
  }

 private:
  PeakMemory memory_;
  double lr_ = 0;
  std::vector<float> image_, weight_;
  std::vector<int32_t> label_;
  std::unique_ptr<Session> session_;  // last: it reads the inputs
};

}  // namespace
}  // namespace pocketune

int main() {
  pocketune::Engine engine;
  for (std::string line; std::getline(std::cin, line);) {
    const size_t space = line.find(' ');
    const std::string argument = space == std::string::npos ? "" : line.substr(space + 1);
    nlohmann::json answer;
    try {
      answer = engine.Answer(line.substr(0, space), argument);
    } catch (const std::exception& e) {
      answer = pocketune::Error(e.what());
    }
    std::cout << answer.dump() << std::endl;
  }
}
