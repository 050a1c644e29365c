#include "apps/cli/profile.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "apps/cli/common.h"
#include "engine/base/file_io.h"
#include "engine/base/median.h"
#include "engine/plan/plan_file.h"
#include "engine/plan/plan_view.h"
#include "graph/lower/plan_text.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

// Does the node leave its result where its operand lies?
bool MovesNothing(const Graph& graph, const Node& node) {
  const int64_t place = graph.offsets[node.results[0]];
  return node.info().Has(kView) && place != kNone && place == graph.offsets[node.operands[0]];
}

int64_t BytesOf(const Graph& graph, const Node& node) {
  if (MovesNothing(graph, node)) return 0;
  int64_t read = 0, written = 0;
  for (ValueId id : node.operands) read += graph.value(id).bytes();
  for (ValueId id : node.results) {
    // An update's result is the parameter; another that has no place is read by nobody.
    if (node.info().Has(kUpdate) || graph.offsets[id] != kNone) written += graph.value(id).bytes();
  }
  return (node.op == OpKind::kSlice ? written : read) + written;
}

std::vector<std::string> TypesTextOf(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<std::string> types;
  for (ValueId id : ids) types.push_back(ToString(graph.type(id)));
  return types;
}

ProfiledOp OpOf(const Graph& graph, size_t index) {
  const Node& node = graph.nodes[index];
  ProfiledOp op;
  op.index = static_cast<int>(index);
  op.op = node.info().name;
  op.kernel = node.kernel;
  op.phase = NameOf(node.phase);
  op.loc = node.loc;
  op.operands = TypesTextOf(graph, node.operands);
  op.results = TypesTextOf(graph, node.results);
  op.flop =
      2 * MacsOf(node.op, TypesOf(graph, node.operands), TypesOf(graph, node.results), node.attrs);
  op.bytes = BytesOf(graph, node);
  return op;
}

// Work and time of one op, or of several, against the peak.
struct Rates {
  double share = 0;
  double gflops = 0, of_fma = 0;
  double gbs = 0, of_copy = 0;
};

Rates RatesOf(double ms, int64_t flop, int64_t bytes, double all_ms, const CpuPeak& peak) {
  Rates rates;
  if (all_ms > 0) rates.share = ms / all_ms;
  if (ms <= 0) return rates;
  rates.gflops = static_cast<double>(flop) / ms * 1e-6;
  rates.gbs = static_cast<double>(bytes) / ms * 1e-6;
  rates.of_fma = rates.gflops / peak.gflops;
  rates.of_copy = rates.gbs / peak.copy_gbs;
  return rates;
}

constexpr char kRatesHead[] = "      ms   share  GFLOP/s  of peak     GB/s  of copy";

std::string RatesText(double ms, int64_t flop, const Rates& rates) {
  const std::string compute =
      flop == 0 ? std::string(18, ' ')
                : absl::StrFormat("%9.1f %7.1f%%", rates.gflops, 100 * rates.of_fma);
  return absl::StrFormat("%8.3f %6.1f%% %s %8.1f %7.1f%%", ms, 100 * rates.share, compute.substr(1),
                         rates.gbs, 100 * rates.of_copy);
}

void AddRates(Json& json, double ms, int64_t flop, int64_t bytes, const Rates& rates) {
  json["ms"] = ms;
  json["share"] = rates.share;
  json["flop"] = flop;
  json["bytes"] = bytes;
  json["gflop_per_s"] = rates.gflops;
  json["gb_per_s"] = rates.gbs;
  json["share_of_fma_peak"] = rates.of_fma;
  json["share_of_copy_bandwidth"] = rates.of_copy;
}

struct KernelTotals {
  std::string kernel;
  int ops = 0;
  double ms = 0;
  int64_t flop = 0;
  int64_t bytes = 0;
};

// Slowest first.
std::vector<KernelTotals> TotalsOf(const std::vector<ProfiledOp>& ops) {
  std::map<std::string, KernelTotals> by_name;
  for (const ProfiledOp& op : ops) {
    KernelTotals& totals = by_name[op.kernel];
    ++totals.ops;
    totals.ms += op.ms;
    totals.flop += op.flop;
    totals.bytes += op.bytes;
  }
  std::vector<KernelTotals> rows;
  for (auto& [kernel, totals] : by_name) {
    rows.push_back(std::move(totals));
    rows.back().kernel = kernel;
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.ms > b.ms; });
  return rows;
}

}  // namespace

absl::StatusOr<CpuPeak> PeakOfMachine(int threads) {
  ThreadPool pool(threads);
  Result<CpuPeak> peak = MeasureCpuPeak(pool);
  if (!peak.ok()) return As(ExitCode::kLocked, "profile", peak.status());
  return peak.value();
}

absl::StatusOr<StepProfile> StepProfile::Of(const std::string& plan_path, const CpuPeak& peak) {
  Result<PlanFile> file = PlanFile::Open(plan_path.c_str());
  if (!file.ok()) return As(ExitCode::kModel, plan_path, file.status());
  for (const fb::Schedule* schedule : *file->plan().schedules()) {
    if (TextOf(schedule->name()) != "train") continue;
    const Graph graph = GraphOfSchedule(file->plan(), *schedule);
    std::vector<ProfiledOp> ops;
    for (size_t i = 0; i < graph.nodes.size(); ++i) ops.push_back(OpOf(graph, i));
    return StepProfile(std::move(ops), peak);
  }
  return Fail(ExitCode::kModel, plan_path + ": the plan has no training schedule");
}

void StepProfile::Add(const Session& session, double step_ms) {
  std::vector<Time> times;
  times.reserve(ops_.size());
  for (const Session::StepTime& time : session.profile()) {
    times.push_back({time.begin_ns, time.nanoseconds});
  }
  times_.push_back(std::move(times));
  step_ms_.push_back(step_ms);
}

void StepProfile::Finish() {
  ops_ms_ = 0;
  for (size_t i = 0; i < ops_.size(); ++i) {
    std::vector<double> ms;
    for (const std::vector<Time>& step : times_) {
      ms.push_back(static_cast<double>(step[i].nanoseconds) * 1e-6);
    }
    ops_[i].ms = Median(std::move(ms));
    ops_ms_ += ops_[i].ms;
  }
}

std::vector<const ProfiledOp*> StepProfile::BySlowness() const {
  std::vector<const ProfiledOp*> ops;
  for (const ProfiledOp& op : ops_) ops.push_back(&op);
  std::stable_sort(ops.begin(), ops.end(),
                   [](const ProfiledOp* a, const ProfiledOp* b) { return a->ms > b->ms; });
  return ops;
}

std::vector<std::string> StepProfile::Lines(int top) const {
  std::vector<const ProfiledOp*> ops = BySlowness();
  const size_t shown = top == 0 ? ops.size() : std::min(ops.size(), static_cast<size_t>(top));
  std::vector<std::string> lines = {
      absl::StrFormat("\nops         %.3f ms of a step of %.3f ms (medians), %d ops", ops_ms_,
                      Median(step_ms_), ops_.size()),
      absl::StrFormat("peak        %.1f GFLOP/s multiplying and adding, %.1f GB/s copying",
                      peak_.gflops, peak_.copy_gbs),
      absl::StrFormat("\nslowest %d ops\n%s  phase kernel and result", shown, kRatesHead)};
  for (size_t i = 0; i < shown; ++i) {
    const ProfiledOp& op = *ops[i];
    const Rates rates = RatesOf(op.ms, op.flop, op.bytes, ops_ms_, peak_);
    lines.push_back(absl::StrFormat("%s  %-5s %s %s  %s", RatesText(op.ms, op.flop, rates),
                                    op.phase, op.kernel, op.results[0], op.loc));
  }
  lines.push_back(absl::StrFormat("\nby kernel\n%s    ops kernel", kRatesHead));
  for (const KernelTotals& row : TotalsOf(ops_)) {
    const Rates rates = RatesOf(row.ms, row.flop, row.bytes, ops_ms_, peak_);
    lines.push_back(
        absl::StrFormat("%s  %5d %s", RatesText(row.ms, row.flop, rates), row.ops, row.kernel));
  }
  return lines;
}

Json StepProfile::ToJson() const {
  Json json = {{"peak_gflop_per_s", peak_.gflops},
               {"copy_gb_per_s", peak_.copy_gbs},
               {"step_ms", Median(step_ms_)},
               {"ops_ms", ops_ms_},
               {"ops", Json::array()},
               {"kernels", Json::array()}};
  for (const ProfiledOp* op : BySlowness()) {
    Json row = {{"index", op->index},    {"op", op->op},   {"kernel", op->kernel},
                {"phase", op->phase},    {"loc", op->loc}, {"operands", op->operands},
                {"results", op->results}};
    const Rates rates = RatesOf(op->ms, op->flop, op->bytes, ops_ms_, peak_);
    AddRates(row, op->ms, op->flop, op->bytes, rates);
    json["ops"].push_back(std::move(row));
  }
  for (const KernelTotals& totals : TotalsOf(ops_)) {
    Json row = {{"kernel", totals.kernel}, {"ops", totals.ops}};
    const Rates rates = RatesOf(totals.ms, totals.flop, totals.bytes, ops_ms_, peak_);
    AddRates(row, totals.ms, totals.flop, totals.bytes, rates);
    json["kernels"].push_back(std::move(row));
  }
  return json;
}

absl::Status StepProfile::WriteTrace(const std::string& path) const {
  const double median = Median(step_ms_);
  const auto nearest = std::min_element(step_ms_.begin(), step_ms_.end(), [&](double a, double b) {
    return std::abs(a - median) < std::abs(b - median);
  });
  const std::vector<Time>& step = times_[static_cast<size_t>(nearest - step_ms_.begin())];
  Json events = Json::array();
  for (size_t i = 0; i < ops_.size(); ++i) {
    const ProfiledOp& op = ops_[i];
    // Microseconds, as the format wants them.
    events.push_back({{"name", op.op},
                      {"cat", op.phase},
                      {"ph", "X"},
                      {"ts", static_cast<double>(step[i].begin_ns) * 1e-3},
                      {"dur", static_cast<double>(step[i].nanoseconds) * 1e-3},
                      {"pid", 1},
                      {"tid", 1},
                      {"args",
                       {{"kernel", op.kernel},
                        {"loc", op.loc},
                        {"operands", absl::StrJoin(op.operands, " ")},
                        {"results", absl::StrJoin(op.results, " ")},
                        {"flop", op.flop},
                        {"bytes", op.bytes}}}});
  }
  const Json trace = {{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}};
  const std::string text = trace.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  const std::span<const uint8_t> chunk(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  return As(ExitCode::kIo, path, WriteFileAtomically(path.c_str(), std::span(&chunk, 1)));
}

}  // namespace pocketune::cli
