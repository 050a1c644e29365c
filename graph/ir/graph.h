// The intermediate representation: one static graph in SSA form with concrete shapes, which holds
// forward, backward and update together. Plain data; passes edit it, the verifier keeps them
// honest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ops/op_info.h"

namespace pocketune {

using ValueId = int32_t;  // index into Graph::values
using NodeId = int32_t;   // index into Graph::nodes
inline constexpr int32_t kNone = -1;

// How far a graph has come. Each stage's laws are in verifier.h.
enum class Stage : uint8_t { kForward, kTraining, kOptimized, kScheduled, kPlanned };
enum class Phase : uint8_t { kForward, kBackward, kUpdate };

enum class ValueKind : uint8_t {
  kInput,   // bound by the caller before each step
  kParam,   // a named tensor of the model or of the optimizer; lives as long as the session
  kConst,   // derived at compile time from parameters that do not learn
  kResult,  // result of a node
};

enum class ParamRole : uint8_t {
  kWeight,  // of a convolution or a linear layer
  kBias,
  kNormScale,  // counts as a weight
  kNormShift,  // counts as a bias
  kNormMean,   // running statistics: buffers, not parameters
  kNormVar,
  kState,  // of the optimizer (velocity, moments); starts at zero
};

// Where in the model a parameter stands; update schemes are phrased in it.
enum class Section : uint8_t { kStem, kBlock, kTail, kClassifier };

using HostData = std::shared_ptr<const std::vector<float>>;

// The slices of a parameter along one dimension that learn, where not all do: input channels of a
// convolution's or a linear layer's weight. Ascending, at least one, fewer than there are.
struct LearningSlices {
  int axis = 0;
  std::vector<int32_t> numbers;
  friend bool operator==(const LearningSlices&, const LearningSlices&) = default;
};

struct Value {
  std::string name;  // of inputs, parameters and constants: unique; of results: a hint or empty
  TensorType type;
  ValueKind kind = ValueKind::kResult;
  NodeId producer = kNone;  // kResult: the node, and which of its results
  int result_index = 0;
  HostData data;  // kConst, and kParam but for states: f32, shape.elems() values

  PortRole port = PortRole::kData;  // kInput only

  // kParam only.
  ParamRole role = ParamRole::kWeight;
  ParamLayout layout = ParamLayout::kRows;
  Section section = Section::kStem;
  int block = kNone;       // 0-based, where section == kBlock
  bool trainable = false;  // learns: an update node overwrites it (states and statistics included)
  std::shared_ptr<const LearningSlices> slices;  // trainable: null where all of it learns

  // kResult, from stage kScheduled on: only one part of the batch out of so many exists at a time
  // (see BatchLoop).
  int parts = 1;

  // That it takes in memory.
  int64_t bytes() const { return type.shape.elems() * SizeOf(type.dtype) / parts; }
};

struct Node {
  OpKind op = OpKind::kFill;
  Attrs attrs;
  std::vector<ValueId> operands;  // as in ops.def; absent optional ones are left out at the end
  std::vector<ValueId> results;
  Phase phase = Phase::kForward;
  std::string loc;  // where in the model it comes from, e.g. "features.3.conv.1"

  // From stage kOptimized on.
  bool in_place = false;  // result 0 takes operand 0's bytes (set by mark_inplace, views always)
  // From stage kPlanned on.
  std::string kernel;
  int64_t scratch_offset = kNone;
  int64_t scratch_bytes = 0;

  const OpInfo& info() const { return InfoOf(op); }
};

struct Output {
  std::string name;
  ValueId value = kNone;
  PortRole role = PortRole::kOther;
};

// Nodes [first, last] run once for each of `parts` equal parts of the batch, one part after the
// other, so that what they hand on fits in a cache (docs/memory.md). What is made and read in the
// loop alone has room for one part.
struct BatchLoop {
  NodeId first = 0;
  NodeId last = 0;
  int parts = 1;
};

// The order of `nodes` is the order of execution: topological, and every reader of a parameter
// stands before the node that updates it.
struct Graph {
  std::string name;
  Stage stage = Stage::kForward;
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<Output> outputs;

  std::vector<BatchLoop> loops;  // ascending and disjoint; from stage kScheduled on

  // From stage kPlanned on: offset of each value in the arena, kNone for those that live elsewhere.
  std::vector<int64_t> offsets;
  int64_t arena_bytes = 0;

  const Value& value(ValueId id) const { return values[id]; }
  Value& value(ValueId id) { return values[id]; }
  const TensorType& type(ValueId id) const { return values[id].type; }
  const Shape& shape(ValueId id) const { return values[id].type.shape; }

  ValueId AddInput(std::string name, TensorType type, PortRole role = PortRole::kData);
  // `data` has shape.elems() values, or is null for a state of zeros.
  ValueId AddParam(std::string name, Shape shape, ParamRole role, HostData data,
                   ParamLayout layout = ParamLayout::kRows);
  ValueId AddConst(std::string name, Shape shape, HostData data);

  // Appends a node whose result types are inferred. The message of an error names `loc`, the op and
  // the operand shapes.
  absl::StatusOr<NodeId> AddNode(OpKind op, std::vector<ValueId> operands, Attrs attrs, Phase phase,
                                 std::string loc);

  // kNone where there is none of that name and kind.
  ValueId FindValue(const std::string& name, ValueKind kind) const;
  ValueId FindOutput(const std::string& name) const;
  ValueId FindOutput(PortRole role) const;  // the first

  // Drops nodes for which keep[i] is false, and afterwards every value that nothing refers to
  // (inputs stay). Ids change: what a caller held is void.
  void Compact(const std::vector<bool>& keep);
};

// For each value the nodes that read it, in order of execution, each once.
std::vector<std::vector<NodeId>> UsersOf(const Graph& graph);

// For each node the nodes that must run before it: producers of its operands and, for an update,
// the loss (where it is not finite, nothing may change) and all other readers of what it
// overwrites. Sorted, each once.
std::vector<std::vector<NodeId>> PredecessorsOf(const Graph& graph);

// For each node the loop that it runs in, nullptr outside.
std::vector<const BatchLoop*> LoopsOf(const Graph& graph);

// Elements of a parameter that learn: all, or those of its slices.
int64_t LearningElems(const Value& param);

// Types of operands or results, in order.
std::vector<TensorType> TypesOf(const Graph& graph, const std::vector<ValueId>& ids);

// Elements of weights, biases and batch-norm scales and shifts; running statistics are buffers, and
// states the optimizer's.
int64_t CountParams(const Graph& graph);

// Multiply-accumulates of one phase, of convolutions and linear layers alone, for the whole batch.
int64_t MacsOf(const Graph& graph, Phase phase);

// "f32[8,28,28,1]".
std::string ToString(const TensorType& type);
const char* NameOf(Stage stage);
const char* NameOf(Phase phase);  // "fwd", "bwd", "upd"

}  // namespace pocketune
