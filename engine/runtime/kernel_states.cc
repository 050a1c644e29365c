#include "engine/runtime/kernel_states.h"

#include <utility>

#include "engine/base/pages.h"

namespace pocketune {
namespace {

bool IsConstantOperand(const KernelQuery& query, size_t i) {
  return (query.constant_operands >> i & 1) != 0;
}

template <typename T>
void AppendBytes(const T& value, std::string& key) {
  key.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// Of what is not constant all but the number of samples.
void AppendType(const TensorType& type, bool constant, std::string& key) {
  AppendBytes(type.dtype, key);
  AppendBytes(type.shape.rank(), key);
  for (int i = constant ? 0 : 1; i < type.shape.rank(); ++i) AppendBytes(type.shape[i], key);
}

// Equal for steps that may share a state.
std::string KeyOf(const KernelInfo& kernel, const KernelQuery& query, const KernelArgs& args) {
  std::string key;
  AppendBytes(&kernel, key);
  AppendBytes(query.operands.size(), key);
  for (size_t i = 0; i < query.operands.size(); ++i) {
    AppendType(query.operands[i], IsConstantOperand(query, i), key);
    AppendBytes(IsConstantOperand(query, i) ? args.operands[i].data : nullptr, key);
  }
  for (const TensorType& type : query.results) AppendType(type, false, key);
  std::string attrs(AttrsBytes(*query.attrs).size(), '\0');
  WriteAttrs(*query.attrs, std::span(reinterpret_cast<uint8_t*>(attrs.data()), attrs.size()));
  return key + attrs;
}

}  // namespace

KernelStates::~KernelStates() {
  for (const Owned& owned : owned_) {
    if (owned.state != nullptr && owned.kernel->release != nullptr) {
      owned.kernel->release(owned.state);
    }
  }
}

Result<void*> KernelStates::Get(const KernelInfo& kernel, const KernelQuery& query,
                                const KernelArgs& args) {
  const auto [entry, inserted] = by_key_.emplace(KeyOf(kernel, query, args), nullptr);
  if (!inserted) return entry->second;
  std::vector<TensorView> operands(args.operands.begin(), args.operands.end());
  std::vector<TensorView> results(args.results.begin(), args.results.end());
  std::vector<Pages> constants;
  for (size_t i = 0; i < operands.size(); ++i) {
    TensorView& operand = operands[i];
    const void* at = std::exchange(operand.data, nullptr);
    if (!IsConstantOperand(query, i)) continue;
    Result<Pages> pages = Pages::Allocate(operand.bytes() + kReadAheadBytes);
    if (!pages.ok()) return pages.status();
    operand.data = pages->data();
    PT_RETURN_IF_ERROR(
        file_.ReadSegment(static_cast<const uint8_t*>(at) - file_.segment(),
                          std::span(pages->data(), static_cast<size_t>(operand.bytes()))));
    constants.push_back(std::move(pages.value()));
  }
  for (TensorView& result : results) result.data = nullptr;
  KernelArgs prepare = args;
  prepare.operands = operands;
  prepare.results = results;
  prepare.scratch = nullptr;
  // Its place first: a state that there is no memory to remember would be lost.
  Owned& owned = owned_.emplace_back(Owned{&kernel, nullptr});
  PT_RETURN_IF_ERROR(kernel.prepare(prepare, &owned.state));
  entry->second = owned.state;
  return owned.state;
}

}  // namespace pocketune
