// Runs a graph as it stands, node by node, each value in memory of its own: the oracle of the
// compile side's tests. In f64 with the reference kernels it is exact enough for finite
// differences.
#pragma once

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backends/api/kernel.h"
#include "graph/ir/graph.h"
#include "tests/support/tensor_data.h"

namespace pocketune::test {

// Parameters start at their data (states at zero) and keep what update nodes write. Results are
// poisoned with NaN before each run; an unread result of a node with several is left absent, as in
// a plan, unless it is an output. Errors are exceptions, which fail the test with their text.
// Kernels are those that the nodes name, or else the first of the table that serves. Any stage will
// do; `graph` must outlive the interpreter. Not thread-safe.
class Interpreter {
 public:
  // `dtype`: kF32, or kF64 for every floating-point value.
  explicit Interpreter(const Graph& graph, KernelTable kernels, DType dtype = DType::kF32,
                       int threads = 1)
      : graph_(graph), kernels_(kernels), dtype_(dtype), pool_(threads) {
    FindUnread();
    for (size_t i = 0; i < graph.values.size(); ++i) {
      tensors_.push_back(Allocate(static_cast<ValueId>(i)));
    }
  }
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;
  ~Interpreter() { ReleaseStates(); }

  // Writes an input or a parameter, element by element in its own type.
  void Set(ValueId id, const std::vector<double>& data) {
    TensorData& tensor = *tensors_[id];
    if (static_cast<int64_t>(data.size()) != tensor.elems()) {
      throw std::runtime_error("interpreter: wrong number of elements for " + NameOfValue(id));
    }
    for (int64_t i = 0; i < tensor.elems(); ++i) tensor.Set(i, data[i]);
    if (graph_.value(id).kind == ValueKind::kParam) ReleaseStates();
  }
  void Set(const std::string& name, const std::vector<double>& data) { Set(Find(name), data); }

  // Runs all nodes once.
  void Run(StepPage& page) {
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const bool owned = tensors_[i] != nullptr && tensors_[i].use_count() == 1;
      if (owned && graph_.values[i].kind == ValueKind::kResult) tensors_[i]->bytes().Poison();
    }
    for (size_t n = 0; n < graph_.nodes.size(); ++n) RunNode(static_cast<NodeId>(n), page);
  }

  // What a value holds now: after Run any value but an absent result.
  const TensorData& Get(ValueId id) const {
    if (tensors_[id] == nullptr) {
      throw std::runtime_error("interpreter: nobody reads " + NameOfValue(id));
    }
    return *tensors_[id];
  }
  const TensorData& Get(const std::string& name) const { return Get(Find(name)); }

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
  struct Prepared {
    const KernelInfo* kernel;
    void* state;
  };

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

  // The result of an update is the tensor that it overwrites.
  std::shared_ptr<TensorData> Allocate(ValueId id) const {
    const Value& value = graph_.value(id);
    if (value.kind == ValueKind::kResult) {
      const Node& node = graph_.nodes[value.producer];
      if (node.info().Has(kUpdate)) return tensors_[node.operands[value.result_index]];
      if (unread_[id]) return nullptr;
      return std::make_shared<TensorData>(TypeOf(id));
    }
    auto tensor = std::make_shared<TensorData>(TypeOf(id));
    for (int64_t i = 0; i < tensor->elems(); ++i) {
      tensor->Set(i, value.data == nullptr ? 0.0 : (*value.data)[i]);
    }
    return tensor;
  }

  std::vector<TensorView> ViewsOf(const std::vector<ValueId>& ids) const {
    std::vector<TensorView> views;
    for (ValueId id : ids) {
      const TensorType type = TypeOf(id);
      views.push_back(tensors_[id] == nullptr ? TensorView{nullptr, type.shape, type.dtype}
                                              : tensors_[id]->view());
    }
    return views;
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
      const TensorData& from = *tensors_[node.operands[0]];
      std::memcpy(tensors_[node.results[0]]->bytes().data(), from.bytes().data(),
                  static_cast<size_t>(from.bytes().size()));
      return;
    }
    const std::vector<TensorType> operand_types = TypesOf(node.operands);
    const std::vector<TensorType> result_types = TypesOf(node.results);
    const KernelQuery query{node.op,      operand_types,          result_types,
                            &node.attrs,  ConstantOperands(node), Isa::kAuto,
                            pool_.slots()};
    const KernelInfo* kernel =
        node.kernel.empty() ? SelectKernel(kernels_, query) : FindKernel(kernels_, node.kernel);
    if (kernel == nullptr) {
      throw std::runtime_error(std::string("interpreter: no kernel for ") + node.info().name);
    }
    const std::vector<TensorView> operands = ViewsOf(node.operands);
    const std::vector<TensorView> results = ViewsOf(node.results);
    AlignedBytes scratch(kernel->scratch_bytes == nullptr ? 0 : kernel->scratch_bytes(query));
    KernelArgs args;
    args.operands = operands;
    args.results = results;
    args.attrs = AttrsBytes(node.attrs).data();
    args.scratch = scratch.data();
    args.page = &page;
    args.pool = &pool_;
    args.state = StateOf(id, kernel, args);
    kernel->run(args);
    for (ValueId result : node.results) {
      if (tensors_[result] != nullptr && !tensors_[result]->bytes().GuardIntact()) {
        throw std::runtime_error(std::string(kernel->name) + ": writes past its result");
      }
    }
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
  std::vector<std::shared_ptr<TensorData>> tensors_;
  std::unordered_map<NodeId, Prepared> states_;
};

}  // namespace pocketune::test
