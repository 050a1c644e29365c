// Kernels against what the processor can do: matrix products and convolutions as a share of the
// multiply-add peak, ops that memory bounds as a share of the copy bandwidth. In each turn the peak
// is measured anew, then each kernel runs: what slows the machine down slows both.
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/cpu_peak.h"
#include "bench/kernel_cases.h"
#include "engine/base/median.h"
#include "nlohmann/json.hpp"

namespace pocketune::bench {
namespace {

using Json = nlohmann::json;

struct Options {
  std::vector<std::string> isas = {"avx512", "avx2", "neon"};
  std::string filter;
  std::string json;
  int threads = 1;
  int turns = 7;
  double seconds = 0.05;
};

// A kernel's turns: seconds a call, and what share of the turn's peak that is.
struct Series {
  std::string kernel;
  std::vector<double> seconds, shares;
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), pool_(options.threads) {}

  // Of the cases whose name, "<group>/<case>", holds the filter.
  void RunGroup(const std::string& group, const std::vector<KernelCase>& cases) {
    bool first = true;
    for (const KernelCase& c : cases) {
      if ((group + "/" + c.name).find(options_.filter) == std::string::npos) continue;
      if (first) {
        std::printf("\n%-36s %-34s %10s %6s %8s %9s %5s\n", (isa_ + " " + group).c_str(), "kernel",
                    "us", "+-", group == "memory" ? "GB/s" : "GFLOP/s",
                    group == "memory" ? "of copy" : "of peak", "goal");
      }
      first = false;
      RunCase(group, c);
    }
  }

  // False where the machine does not have the level.
  bool UseIsa(const std::string& isa) {
    const std::optional<Isa> level = IsaNamed(isa);
    if (!level) Die("--isa: no such level (got " + isa + ")");
    isa_ = isa;
    return SetIsa(*level).ok();
  }

  Json Result() const {
    return {{"threads", options_.threads}, {"turns", options_.turns}, {"rows", rows_}};
  }

 private:
  // 10^9 bytes or operations a second.
  double Peak(bool memory) {
    if (!memory) return MeasureFmaGflops(pool_);
    const pocketune::Result<double> copy = MeasureCopyGbs(pool_);
    if (!copy.ok()) Die(copy.status().message());
    return copy.value();
  }

  void RunCase(const std::string& group, const KernelCase& c) {
    const CaseData data(c);
    const KernelQuery query = data.Query(options_.threads);
    std::vector<std::unique_ptr<KernelRun>> runs;
    for (const KernelInfo& row : CpuKernels()) {
      if (row.op != c.op || (row.supports != nullptr && !row.supports(query))) continue;
      runs.push_back(std::make_unique<KernelRun>(row, data, pool_));
    }
    const bool memory = data.Flops() == 0;
    const double work = (memory ? data.Bytes() : data.Flops()) * 1e-9;
    std::vector<Series> series(runs.size());
    std::vector<double> peaks;
    for (int turn = 0; turn < options_.turns; ++turn) {
      peaks.push_back(Peak(memory));
      for (size_t i = 0; i < runs.size(); ++i) {
        const double seconds = TimeTurn([&] { runs[i]->Run(); }, options_.seconds);
        series[i].seconds.push_back(seconds);
        series[i].shares.push_back(work / seconds / peaks.back());
      }
    }
    for (size_t i = 0; i < runs.size(); ++i) {
      series[i].kernel = runs[i]->name();
      Report(group, c, series[i], work, Median(peaks));
    }
  }

  void Report(const std::string& group, const KernelCase& c, const Series& series, double work,
              double peak) {
    const double seconds = Median(series.seconds), share = Median(series.shares);
    const double deviation = MedianDeviation(series.seconds) / seconds;
    const bool below = c.goal > 0 && share < c.goal;
    std::printf("%-36s %-34s %10.1f %5.1f%% %8.1f %8.1f%%", c.name.c_str(), series.kernel.c_str(),
                seconds * 1e6, 100 * deviation, work / seconds, 100 * share);
    if (c.goal > 0) std::printf(" %3.0f%%%s", 100 * c.goal, below ? " below" : "");
    std::printf("\n");
    std::fflush(stdout);
    rows_.push_back({{"isa", isa_},
                     {"group", group},
                     {"case", c.name},
                     {"kernel", series.kernel},
                     {"seconds", seconds},
                     {"deviation", deviation},
                     {group == "memory" ? "gbs" : "gflops", work / seconds},
                     {"peak", peak},
                     {"share", share},
                     {"goal", c.goal}});
  }

  const Options& options_;
  ThreadPool pool_;
  std::string isa_;
  Json rows_ = Json::array();
};

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Times kernels against the processor's peaks");
  app.add_option("--isa", options.isas, "Levels; one that the machine lacks is skipped")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--filter", options.filter, "Part of \"<gemm|conv|memory>/<case>\"");
  app.add_option("--threads", options.threads, "Threads")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--turns", options.turns, "Turns; the table has medians over them")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Of each turn of each kernel")
      ->check(CLI::Range(1e-4, 60.0))
      ->capture_default_str();
  app.add_option("--json", options.json, "File to write");
  CLI11_PARSE(app, argc, argv);

  Bench bench(options);
  for (const std::string& isa : options.isas) {
    if (!bench.UseIsa(isa)) continue;
    bench.RunGroup("gemm", GemmCases());
    bench.RunGroup("conv", ConvCases());
    bench.RunGroup("memory", MemoryCases());
  }
  if (options.json.empty()) return 0;
  std::ofstream file(options.json);
  file << bench.Result().dump(1) << "\n";
  if (!file.flush()) Die(options.json + ": cannot be written");
  return 0;
}

}  // namespace
}  // namespace pocketune::bench

int main(int argc, char** argv) { return pocketune::bench::Main(argc, argv); }
