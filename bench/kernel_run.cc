#include "bench/kernel_run.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "engine/base/clock.h"

namespace pocketune::bench {
namespace {

int64_t ScratchBytes(const KernelInfo& kernel, const KernelQuery& query) {
  return kernel.scratch_bytes == nullptr ? 0 : kernel.scratch_bytes(query);
}

// Uniform in [lowest, 1), the same values again and again: to draw all of a large tensor would take
// seconds. `stream` names them.
test::TensorData Uniform(const TensorType& type, const std::string& stream, double lowest) {
  constexpr int64_t kPeriod = 65521;  // a prime, so that no row is like the one before
  test::TensorData tensor(type);
  const int64_t elems = tensor.elems();
  const auto once = test::TensorData::Uniform({{std::min(elems, kPeriod)}}, stream, lowest, 1);
  float* values = tensor.view().as<float>();
  for (int64_t i = 0; i < elems; i += kPeriod) {
    std::copy_n(once.view().as<float>(), std::min(elems - i, kPeriod), values + i);
  }
  return tensor;
}

}  // namespace

CaseData::CaseData(const KernelCase& c) : case_(c) {
  result_types_.resize(static_cast<size_t>(InfoOf(c.op).results));
  const Status inferred = InferShapes(c.op, c.operands, c.attrs, result_types_);
  if (!inferred.ok()) Die(c.name + ": " + inferred.message());
  for (const TensorType& type : c.operands) {
    const std::string stream = "operand " + std::to_string(operands_.size());
    operands_.push_back(Uniform(type, stream, c.lowest));
  }
  for (const TensorType& type : result_types_) {
    const bool update = InfoOf(c.op).Has(kUpdate);
    results_.push_back(update ? test::TensorData() : test::TensorData(type));
  }
}

KernelQuery CaseData::Query(int threads) const {
  return {case_.op, case_.operands, result_types_, &case_.attrs, ~1u, Isa::kAuto, threads};
}

double CaseData::Flops() const {
  return 2.0 * static_cast<double>(MacsOf(case_.op, case_.operands, result_types_, case_.attrs));
}

double CaseData::Bytes() const {
  int64_t bytes = 0;
  for (size_t i = 0; i < operands_.size(); ++i) {
    const int64_t passes = (case_.read_twice >> i & 1) != 0 ? 2 : 1;
    bytes += passes * operands_[i].bytes().size();
  }
  for (const TensorType& type : result_types_) bytes += type.shape.elems() * SizeOf(type.dtype);
  return static_cast<double>(bytes);
}

std::vector<TensorView> CaseData::OperandViews() const {
  std::vector<TensorView> views;
  for (const test::TensorData& operand : operands_) views.push_back(operand.view());
  return views;
}

std::vector<TensorView> CaseData::ResultViews() const {
  std::vector<TensorView> views;
  for (size_t i = 0; i < results_.size(); ++i) {
    views.push_back(InfoOf(case_.op).Has(kUpdate) ? operands_[i].view() : results_[i].view());
  }
  return views;
}

KernelRun::KernelRun(const KernelInfo& kernel, const CaseData& data, ThreadPool& pool)
    : kernel_(kernel),
      operands_(data.OperandViews()),
      results_(data.ResultViews()),
      scratch_(ScratchBytes(kernel, data.Query(pool.slots()))) {
  page_.step = 1;
  page_.learning_rate = 1e-9;  // so that weights stay what they are, however often they are updated
  args_.operands = operands_;
  args_.results = results_;
  args_.attrs = AttrsBytes(data.kernel_case().attrs).data();
  args_.scratch = scratch_.data();
  args_.page = &page_;
  args_.pool = &pool;
  if (kernel.prepare == nullptr) return;
  const Status prepared = kernel.prepare(args_, &args_.state);
  if (!prepared.ok()) Die(std::string(kernel.name) + ": " + prepared.message());
}

KernelRun::~KernelRun() {
  if (kernel_.release != nullptr) kernel_.release(args_.state);
}

double TimeTurn(const std::function<void()>& run, double seconds) {
  run();
  const double begin = NowSeconds();
  double end = begin;
  int calls = 0;
  for (; end < begin + seconds; ++calls) {
    run();
    end = NowSeconds();
  }
  return (end - begin) / calls;
}

void Die(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

}  // namespace pocketune::bench
