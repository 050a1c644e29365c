// Own convolutions, forward and both gradients, against oneDNN's on the same shapes. First both
// compute the same numbers; then they take turns.
#include <omp.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"
#include "backends/cpu/cpu_kernels.h"
#include "bench/kernel_cases.h"
#include "bench/onednn_conv.h"
#include "engine/base/median.h"
#include "nlohmann/json.hpp"

namespace pocketune::bench {
namespace {

using Json = nlohmann::json;

// Of the largest difference, in the largest number. Sums of up to 25,000 products in single
// precision, added in another order, are off by up to 1e-5; another algorithm, by more than 1e-3.
constexpr double kTolerance = 1e-4;
constexpr double kDisturbed = 0.1;  // deviation, of the median, above which a ratio says little

struct Options {
  std::string isa = "avx512";
  std::string filter;
  std::string json;
  int threads = 1;
  int turns = 9;
  double seconds = 0.05;
};

// The engines in the order of their turns.
constexpr const char* kEngines[] = {"pocketune", "onednn-nhwc", "onednn-own"};

struct Row {
  double seconds[3], deviations[3];
  double error;  // the larger one of oneDNN's two
  std::array<std::string, 2> implementations;

  // oneDNN's faster one to ours.
  double ratio() const { return std::min(seconds[1], seconds[2]) / seconds[0]; }
  bool disturbed() const { return *std::max_element(deviations, deviations + 3) > kDisturbed; }
};

void TakeTurns(const Options& options, const KernelRun& ours, std::array<OneDnnConv, 2>& theirs,
               Row* row) {
  std::vector<double> seconds[3];
  for (int turn = 0; turn < options.turns; ++turn) {
    seconds[0].push_back(TimeTurn([&] { ours.Run(); }, options.seconds));
    seconds[1].push_back(TimeTurn([&] { theirs[0].Run(); }, options.seconds));
    seconds[2].push_back(TimeTurn([&] { theirs[1].Run(); }, options.seconds));
  }
  for (int i = 0; i < 3; ++i) {
    row->seconds[i] = Median(seconds[i]);
    row->deviations[i] = MedianDeviation(seconds[i]) / row->seconds[i];
  }
}

// The first own kernel in the order of preference that serves a filter which learns.
const KernelInfo& OwnKernel(const KernelCase& c, const KernelQuery& query) {
  for (const KernelInfo& row : CpuKernels()) {
    const bool own = std::string_view(row.name).starts_with("cpu.") && row.prepare == nullptr;
    if (row.op == c.op && own && (row.supports == nullptr || row.supports(query))) return row;
  }
  Die(c.name + ": no own kernel");
}

Row Compare(const Options& options, const KernelCase& c, ThreadPool& pool) {
  const CaseData data(c);
  const KernelRun ours(OwnKernel(c, data.Query(pool.slots())), data, pool);
  std::array<OneDnnConv, 2> theirs = {OneDnnConv(data, OneDnnLayout::kNhwc),
                                      OneDnnConv(data, OneDnnLayout::kOwn)};
  Row row{};
  ours.Run();
  for (size_t i = 0; i < theirs.size(); ++i) {
    theirs[i].Run();
    row.error = std::max(row.error, test::RelativeError(data.result(0), theirs[i].Result()));
    row.implementations[i] = theirs[i].implementation();
  }
  if (row.error <= kTolerance) TakeTurns(options, ours, theirs, &row);
  return row;
}

void Print(const KernelCase& c, const Row& row) {
  std::printf("%-34s", c.name.c_str());
  if (row.error > kTolerance) {
    std::printf(" other numbers: off by %.1e\n", row.error);
    return;
  }
  for (int i = 0; i < 3; ++i) {
    std::printf(" %9.3f %4.1f%%", row.seconds[i] * 1e3, 100 * row.deviations[i]);
  }
  std::printf("  %6.2f%s  %s | %s\n", row.ratio(), row.disturbed() ? "?" : " ",
              row.implementations[0].c_str(), row.implementations[1].c_str());
  std::fflush(stdout);
}

Json ToJson(const KernelCase& c, const Row& row) {
  Json json = {{"case", c.name},
               {"op", InfoOf(c.op).name},
               {"error", row.error},
               {"status", row.error <= kTolerance ? "ok" : "wrong"},
               {"implementations", row.implementations}};
  if (row.error > kTolerance) return json;
  for (int i = 0; i < 3; ++i) {
    json[kEngines[i]] = {{"seconds", row.seconds[i]}, {"deviation", row.deviations[i]}};
  }
  json["ratio"] = row.ratio();
  json["disturbed"] = row.disturbed();
  return json;
}

// Caps both engines; oneDNN before its first primitive.
void UseIsa(const std::string& name) {
  const std::optional<Isa> isa = IsaNamed(name);
  dnnl::cpu_isa theirs = dnnl::cpu_isa::isa_default;
  if (isa == Isa::kAvx2) theirs = dnnl::cpu_isa::avx2;
  if (isa == Isa::kSse4) theirs = dnnl::cpu_isa::sse41;
  if (!isa || !SetIsa(*isa).ok()) Die("--isa: not on this processor (got " + name + ")");
  if (dnnl::set_max_cpu_isa(theirs) != dnnl::status::success) Die("onednn: --isa is refused");
}

int Run(const Options& options) {
  UseIsa(options.isa);
  omp_set_num_threads(options.threads);
  ThreadPool pool(options.threads);
  std::printf("%s, %d thread%s, oneDNN %d.%d; ms a call, median and deviation of %d turns\n",
              options.isa.c_str(), options.threads, options.threads == 1 ? "" : "s",
              dnnl::version()->major, dnnl::version()->minor, options.turns);
  std::printf("%-34s %15s %15s %15s  %7s  oneDNN's kernels\n", "", "pocketune", "oneDNN, NHWC",
              "oneDNN, own", "ratio");
  Json rows = Json::array();
  bool right = true;
  for (const KernelCase& c : ConvCases()) {
    if (c.name.find(options.filter) == std::string::npos) continue;
    const Row row = Compare(options, c, pool);
    Print(c, row);
    rows.push_back(ToJson(c, row));
    right = right && row.error <= kTolerance;
  }
  if (!options.json.empty()) {
    std::ofstream file(options.json);
    file << Json{{"isa", options.isa}, {"threads", options.threads}, {"rows", rows}}.dump(1)
         << "\n";
    if (!file.flush()) Die(options.json + ": cannot be written");
  }
  return right ? 0 : 1;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Times own convolutions and oneDNN's in turns");
  app.add_option("--isa", options.isa, "Level of both: avx512, avx2 or sse4")
      ->capture_default_str();
  app.add_option("--filter", options.filter, "Part of a case's name, e.g. \"/dw\"");
  app.add_option("--threads", options.threads, "Threads of both")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--turns", options.turns, "Turns; the table has medians over them")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Of each turn of each engine")
      ->check(CLI::Range(1e-4, 60.0))
      ->capture_default_str();
  app.add_option("--json", options.json, "File to write");
  CLI11_PARSE(app, argc, argv);
  try {
    return Run(options);
  } catch (const dnnl::error& error) {
    Die(std::string("onednn: ") + error.what());
  }
}

}  // namespace
}  // namespace pocketune::bench

int main(int argc, char** argv) { return pocketune::bench::Main(argc, argv); }
