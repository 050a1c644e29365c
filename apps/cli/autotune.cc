#include "apps/cli/autotune.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/cli/common.h"
#include "backends/cpu/cpu_kernels.h"
#include "engine/base/clock.h"
#include "engine/base/median.h"
#include "engine/base/pages.h"
#include "engine/base/rng.h"
#include "engine/base/step_page.h"
#include "engine/plan/plan_file.h"
#include "graph/base/status_macros.h"
#include "graph/lower/plan_text.h"
#include "graph/memory/kernel_query.h"
#include "graph/passes/kernel_choice.h"

namespace pocketune::cli {
namespace {

constexpr double kSecondsPerOp = 0.1;
constexpr size_t kMinRounds = 5, kMaxRounds = 50;
constexpr double kGain = 0.98;  // of the default's time, to take its place
constexpr int64_t kEvictBytes = int64_t{16}
                                << 20;  // larger than what the cores have for themselves

std::string CpuName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown";
}

std::vector<const KernelInfo*> CandidatesOf(const KernelQuery& query) {
  std::vector<const KernelInfo*> candidates;
  for (const KernelInfo& row : CpuKernels()) {
    if (row.op == query.op && (row.supports == nullptr || row.supports(query))) {
      candidates.push_back(&row);
    }
  }
  return candidates;
}

// What the kernels of one op read and write, each in memory of its own.
class OpData {
 public:
  explicit OpData(const KernelQuery& query) : query_(query) {}

  absl::Status Allocate(const std::vector<const KernelInfo*>& candidates) {
    int64_t scratch_bytes = 0;
    for (const KernelInfo* kernel : candidates) {
      if (kernel->scratch_bytes == nullptr) continue;
      scratch_bytes = std::max(scratch_bytes, kernel->scratch_bytes(query_));
    }
    for (const TensorType& type : query_.operands) PT_TRY(Add(type, &operands_));
    for (const TensorType& type : query_.results) PT_TRY(Add(type, &results_));
    return AddPages(scratch_bytes);
  }

  KernelArgs Args(ThreadPool* pool) {
    KernelArgs args;
    args.operands = operands_;
    args.results = results_;
    args.attrs = AttrsBytes(*query_.attrs).data();
    args.scratch = pages_.back().data();
    args.page = &page_;
    args.pool = pool;
    return args;
  }

 private:
  absl::Status AddPages(int64_t bytes) {
    Result<Pages> pages = Pages::Allocate(bytes + kReadAheadBytes);
    if (!pages.ok()) return As(ExitCode::kLocked, "autotune", pages.status());
    pages_.push_back(std::move(pages.value()));
    return absl::OkStatus();
  }

  // Integers stay 0, a label that every loss has.
  absl::Status Add(const TensorType& type, std::vector<TensorView>* views) {
    PT_TRY(AddPages(type.shape.elems() * SizeOf(type.dtype)));
    views->push_back({pages_.back().data(), type.shape, type.dtype});
    if (type.dtype != DType::kF32) return absl::OkStatus();
    const RandomStream random(pages_.size(), "autotune");
    float* values = views->back().as<float>();
    for (int64_t i = 0; i < type.shape.elems(); ++i) {
      values[i] = 2.0f * random.Uniform(static_cast<uint64_t>(i)) - 1.0f;
    }
    return absl::OkStatus();
  }

  const KernelQuery& query_;
  std::vector<Pages> pages_;
  std::vector<TensorView> operands_, results_;
  StepPage page_;
};

// A kernel with its state, ready to run.
class Runner {
 public:
  Runner(const KernelInfo& kernel, const KernelArgs& args) : kernel_(kernel), args_(args) {}
  Runner(Runner&& other) noexcept
      : kernel_(other.kernel_), args_(std::exchange(other.args_, {})), ns_(std::move(other.ns_)) {}
  ~Runner() {
    if (args_.state != nullptr && kernel_.release != nullptr) kernel_.release(args_.state);
  }

  absl::Status Prepare() {
    if (kernel_.prepare == nullptr) return absl::OkStatus();
    return As(ExitCode::kLocked, kernel_.name, kernel_.prepare(args_, &args_.state));
  }
  void Run() { kernel_.run(args_); }
  void RunTimed() {
    const double begin = NowSeconds();
    Run();
    ns_.push_back((NowSeconds() - begin) * 1e9);
  }
  size_t rounds() const { return ns_.size(); }
  double ns() const { return Median(ns_); }

 private:
  const KernelInfo& kernel_;
  KernelArgs args_;
  std::vector<double> ns_;
};

class Tuner {
 public:
  explicit Tuner(int threads) : pool_(threads) {}

  absl::Status Init() {
    Result<Pages> pages = Pages::Allocate(kEvictBytes);
    if (!pages.ok()) return As(ExitCode::kLocked, "autotune", pages.status());
    other_data_ = std::move(pages.value());
    return absl::OkStatus();
  }

  absl::StatusOr<Tuning::Entry> Measure(const KernelQuery& query,
                                        const std::vector<const KernelInfo*>& candidates) {
    OpData data(query);
    PT_TRY(data.Allocate(candidates));
    std::vector<Runner> runners;
    for (const KernelInfo* kernel : candidates) {
      runners.emplace_back(*kernel, data.Args(&pool_));
      PT_TRY(runners.back().Prepare());
      runners.back().Run();  // what is done once
    }
    const double begin = NowSeconds();
    while (runners[0].rounds() < kMinRounds ||
           (runners[0].rounds() < kMaxRounds && NowSeconds() < begin + kSecondsPerOp)) {
      for (Runner& runner : runners) {
        Evict();
        runner.RunTimed();
      }
    }
    Tuning::Entry entry;
    size_t fastest = 0;
    for (size_t i = 0; i < runners.size(); ++i) {
      entry.ns[candidates[i]->name] = runners[i].ns();
      const double bar = runners[fastest].ns() * (fastest == 0 ? kGain : 1.0);
      if (i > 0 && runners[i].ns() < bar) fastest = i;
    }
    entry.kernel = candidates[fastest]->name;
    return entry;
  }

 private:
  // Fills the caches of all cores with other data.
  void Evict() {
    uint8_t* bytes = other_data_.data();
    const int64_t part = kEvictBytes / pool_.threads();
    pool_.ParallelFor(pool_.threads(), [&](int64_t item, int) {
      for (int64_t i = item * part; i < (item + 1) * part; i += kAlignment) ++bytes[i];
    });
  }

  ThreadPool pool_;
  Pages other_data_;
};

std::string DefaultOf(const Tuning::Entry& entry) {
  for (const KernelInfo& row : CpuKernels()) {
    if (entry.ns.count(row.name) > 0) return row.name;
  }
  return entry.kernel;
}

}  // namespace

absl::StatusOr<Tuning> Autotune(const std::string& plan_path, int threads) {
  Result<PlanFile> file = PlanFile::Open(plan_path.c_str());
  if (!file.ok()) return As(ExitCode::kModel, plan_path, file.status());
  const fb::Plan& plan = file->plan();
  Tuning tuning;
  tuning.cpu = CpuName();
  tuning.isa = NameOf(CurrentIsa());
  tuning.threads = threads;
  Tuner tuner(threads);
  PT_TRY(tuner.Init());
  for (const fb::Schedule* schedule : *plan.schedules()) {
    const Graph graph = GraphOfSchedule(plan, *schedule);
    for (const Node& node : graph.nodes) {
      const NodeQuery asked(graph, node, static_cast<Isa>(plan.isa()), threads);
      const std::vector<const KernelInfo*> candidates = CandidatesOf(asked.query);
      const std::string key = ChoiceKey(asked.query);
      if (candidates.size() < 2 || tuning.entries.count(key) > 0) continue;
      PT_TRY_ASSIGN(Tuning::Entry entry, tuner.Measure(asked.query, candidates));
      tuning.entries.emplace(key, std::move(entry));
    }
  }
  return tuning;
}

std::vector<std::string> TuningLines(const Tuning& tuning) {
  std::vector<std::pair<double, std::string>> changed;
  for (const auto& [op, entry] : tuning.entries) {
    const std::string standard = DefaultOf(entry);
    if (entry.kernel == standard) continue;
    const double before = entry.ns.at(standard), after = entry.ns.at(entry.kernel);
    changed.push_back({before - after, absl::StrFormat("%10.1f %10.1f  %s %s", before * 1e-3,
                                                       after * 1e-3, entry.kernel, op)});
  }
  std::sort(changed.rbegin(), changed.rend());
  std::vector<std::string> lines = {
      absl::StrFormat("tuned       %d ops that several kernels serve, %d with another than by "
                      "default",
                      tuning.entries.size(), changed.size())};
  if (!changed.empty()) lines.push_back("us default   us tuned  kernel and op");
  for (const auto& [gain, line] : changed) lines.push_back(line);
  return lines;
}

absl::StatusOr<std::unique_ptr<Tuning>> LoadTuning(const CommonFlags& flags) {
  if (flags.tuning.empty()) return std::unique_ptr<Tuning>();
  Outcome<Tuning> tuning = ReadTuning(flags.tuning);
  if (!tuning.ok()) return As(ExitCode::kModel, tuning);
  if (tuning->cpu != CpuName()) {
    Say(flags, absl::StrCat("warning: ", flags.tuning, ": measured on another processor (",
                            tuning->cpu, ")"));
  }
  return std::make_unique<Tuning>(std::move(tuning.value()));
}

}  // namespace pocketune::cli
