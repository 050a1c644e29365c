// Runs a graph as it stands, node by node, each value in memory of its own: the oracle of the
// compile side's tests. In f64 with the reference kernels it is exact enough for finite
// differences.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backends/api/kernel.h"
#include "engine/base/math.h"
#include "graph/ir/graph.h"

namespace pocketune {

// Parameters start at their data (states at zero) and keep what update nodes write. Results are
// poisoned with NaN before each run; an unread result of a node with several is left absent, as in
// a plan, unless it is an output. Errors are exceptions, which fail the test with their text.
// Any stage will do; `graph` must outlive the interpreter. Not thread-safe.
class Interpreter {
 public:
  // `dtype`: kF32, or kF64 for every floating-point value.
  explicit Interpreter(const Graph& graph, KernelTable kernels, DType dtype = DType::kF32,
                       int threads = 1)
      : graph_(graph), kernels_(kernels), dtype_(dtype), pool_(threads) {
    FindUnread();
    for (size_t i = 0; i < graph.values.size(); ++i) Allocate(static_cast<ValueId>(i));
  }
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;
  ~Interpreter() { ReleaseStates(); }

  // Writes an input or a parameter, element by element in its own type.
  void Set(ValueId id, const std::vector<double>& data) {
    const TensorView view = views_[id];
    if (static_cast<int64_t>(data.size()) != view.shape.elems()) {
      throw std::runtime_error("interpreter: wrong number of elements for " + NameOfValue(id));
    }
    for (size_t i = 0; i < data.size(); ++i) Store(view, i, data[i]);
    ReleaseStates();
  }
  void Set(const std::string& name, const std::vector<double>& data) { Set(Find(name), data); }

  // Runs all nodes once.
  void Run(StepPage& page) {
    Poison();
    for (size_t n = 0; n < graph_.nodes.size(); ++n) RunNode(static_cast<NodeId>(n), page);
  }

  // What a value holds now: after Run any value but an absent result.
  std::vector<double> Get(ValueId id) const {
    const TensorView view = views_[id];
    if (view.data == nullptr) {
      throw std::runtime_error("interpreter: nobody reads " + NameOfValue(id));
    }
    std::vector<double> data(view.shape.elems());
    for (size_t i = 0; i < data.size(); ++i) data[i] = Load(view, i);
    return data;
  }
  std::vector<double> Get(const std::string& name) const { return Get(Find(name)); }
  TensorView view(ValueId id) const { return views_[id]; }

  // By the name of an output, an input, a parameter or a constant.
  ValueId Find(const std::string& name) const {
    ValueId id = graph_.FindOutput(name);
    for (ValueKind kind : {ValueKind::kInput, ValueKind::kParam, ValueKind::kConst}) {
      if (id == kNone) id = graph_.FindValue(name, kind);
    }
    if (id == kNone) throw std::runtime_error("interpreter: no value is called " + name);
    return id;
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  using Memory = std::unique_ptr<void, Free>;
  struct Prepared {
    const KernelInfo* kernel;
    void* state;
  };
  static constexpr int64_t kReadBeyond = 64;  // XNNPACK reads past the end of inputs

  static Memory AlignedMemory(int64_t bytes) {
    const int64_t size = AlignUp(bytes + kReadBeyond);
    Memory memory(std::aligned_alloc(kAlignment, static_cast<size_t>(size)));
    std::memset(memory.get(), 0, static_cast<size_t>(size));
    return memory;
  }

  static void Store(const TensorView& view, size_t i, double value) {
    if (view.dtype == DType::kF64) {
      view.as<double>()[i] = value;
    } else if (view.dtype == DType::kF32) {
      view.as<float>()[i] = static_cast<float>(value);
    } else {
      view.as<int32_t>()[i] = static_cast<int32_t>(value);
    }
  }
  static double Load(const TensorView& view, size_t i) {
    if (view.dtype == DType::kF64) return view.as<double>()[i];
    if (view.dtype == DType::kF32) return view.as<float>()[i];
    return view.as<int32_t>()[i];
  }

  TensorType TypeOf(ValueId id) const {
    TensorType type = graph_.type(id);
    if (type.dtype == DType::kF32) type.dtype = dtype_;
    return type;
  }
  std::vector<TensorType> TypesOf(const std::vector<ValueId>& ids) const {
    std::vector<TensorType> types;
    for (ValueId id : ids) types.push_back(TypeOf(id));
    return types;
  }
  std::string NameOfValue(ValueId id) const {
    const Value& value = graph_.value(id);
    return value.name.empty() ? "%" + std::to_string(id) : value.name;
  }

  void FindUnread() {
    unread_.assign(graph_.values.size(), true);
    for (const Node& node : graph_.nodes) {
      for (ValueId id : node.operands) unread_[id] = false;
      if (node.results.size() == 1) unread_[node.results[0]] = false;
    }
    for (const Output& output : graph_.outputs) unread_[output.value] = false;
  }

  void Allocate(ValueId id) {
    const Value& value = graph_.value(id);
    const TensorType type = TypeOf(id);
    views_.push_back({nullptr, type.shape, type.dtype});
    memory_.emplace_back();
    if (value.kind == ValueKind::kResult) {
      const Node& node = graph_.nodes[value.producer];
      if (node.info().Has(kUpdate)) {
        views_[id].data = views_[node.operands[value.result_index]].data;
        return;
      }
      if (unread_[id]) return;
    }
    memory_[id] = AlignedMemory(views_[id].bytes());
    views_[id].data = memory_[id].get();
    for (size_t i = 0; value.data != nullptr && i < value.data->size(); ++i) {
      Store(views_[id], i, (*value.data)[i]);
    }
  }

  void Poison() {
    for (size_t i = 0; i < memory_.size(); ++i) {
      if (graph_.values[i].kind != ValueKind::kResult || memory_[i] == nullptr) continue;
      std::memset(memory_[i].get(), 0xFF, static_cast<size_t>(views_[i].bytes()));
    }
  }

  uint32_t ConstantOperands(const Node& node) const {
    uint32_t constant = 0;
    for (size_t i = 0; i < node.operands.size(); ++i) {
      const Value& value = graph_.value(node.operands[i]);
      const bool frozen = value.kind == ValueKind::kParam && !value.trainable;
      if (frozen || value.kind == ValueKind::kConst) constant |= 1u << i;
    }
    return constant;
  }

  void RunNode(NodeId id, StepPage& page) {
    const Node& node = graph_.nodes[id];
    if (node.info().Has(kView)) {
      const TensorView from = views_[node.operands[0]];
      std::memcpy(views_[node.results[0]].data, from.data, static_cast<size_t>(from.bytes()));
      return;
    }
    const std::vector<TensorType> operand_types = TypesOf(node.operands);
    const std::vector<TensorType> result_types = TypesOf(node.results);
    const KernelQuery query = {.op = node.op,
                               .operands = operand_types,
                               .results = result_types,
                               .attrs = &node.attrs,
                               .constant_operands = ConstantOperands(node),
                               .isa = Isa::kAuto,
                               .slots = pool_.slots()};
    const KernelInfo* kernel = SelectKernel(kernels_, query);
    if (kernel == nullptr) {
      throw std::runtime_error(std::string("interpreter: no kernel for ") + node.info().name);
    }
    std::vector<TensorView> operands, results;
    for (ValueId operand : node.operands) operands.push_back(views_[operand]);
    for (ValueId result : node.results) results.push_back(views_[result]);
    const Memory scratch =
        AlignedMemory(kernel->scratch_bytes == nullptr ? 0 : kernel->scratch_bytes(query));
    KernelArgs args = {.operands = operands,
                       .results = results,
                       .attrs = AttrsBytes(node.attrs).data(),
                       .scratch = scratch.get(),
                       .state = nullptr,
                       .page = &page,
                       .pool = &pool_};
    args.state = StateOf(id, kernel, args);
    kernel->run(args);
  }

  void* StateOf(NodeId id, const KernelInfo* kernel, const KernelArgs& args) {
    if (kernel->prepare == nullptr) return nullptr;
    const auto found = states_.find(id);
    if (found != states_.end()) return found->second.state;
    void* state = nullptr;
    if (const Status status = kernel->prepare(args, &state); !status.ok()) {
      throw std::runtime_error(std::string(kernel->name) + ": " + status.message());
    }
    states_[id] = {kernel, state};
    return state;
  }

  void ReleaseStates() {
    for (const auto& [id, prepared] : states_) prepared.kernel->release(prepared.state);
    states_.clear();
  }

  const Graph& graph_;
  KernelTable kernels_;
  DType dtype_;
  ThreadPool pool_;
  std::vector<bool> unread_;  // absent results of nodes with several
  std::vector<TensorView> views_;
  std::vector<Memory> memory_;
  std::unordered_map<NodeId, Prepared> states_;
};

}  // namespace pocketune
