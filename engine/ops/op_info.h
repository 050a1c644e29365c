// What everybody knows about an op: its name, arity, attributes, traits and shape rule. The
// compiler builds graphs with it; the runtime checks every plan with the same rules.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/ops/attrs.h"
#include "pocketune/status.h"
#include "pocketune/types.h"

namespace pocketune {

enum class OpKind : uint16_t {
#define PT_OP(kind, ...) k##kind,
#include "engine/ops/ops.def"
#undef PT_OP
};

inline constexpr int kOpCount = 0
#define PT_OP(...) +1
#include "engine/ops/ops.def"
#undef PT_OP
    ;

enum OpTrait : uint32_t {
  kElementwise = 1,  // element i of a result needs element i of each operand alone
  kInplace = 2,      // result 0 may lie over operand 0 (MayLieOver)
  kView = 4,         // result 0 is operand 0's bytes under another shape
  kUpdate = 8,       // result i overwrites operand i, a parameter or state
  kFusesAct = 16,    // its attributes have an `act` that is applied to result 0
  kHasMacs = 32,     // counts in forward_macs and backward_macs
};

// Shape and type of an operand or a result.
struct TensorType {
  Shape shape;
  DType dtype = DType::kF32;
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

// Derives `results` (sized by the row) from operands and attributes and checks all of them: ranks,
// sizes, attribute ranges, overflow. After it returned OK a kernel may trust every shape.
// Floating-point operands are f32 or f64, all alike.
using ShapeRule = Status (*)(std::span<const TensorType> operands, const Attrs& attrs,
                             std::span<TensorType> results);

struct OpInfo {
  OpKind kind;
  const char* name;
  int min_operands;
  int max_operands;
  int results;
  size_t attrs_index;  // index of its struct in the variant Attrs
  uint32_t attrs_bytes;
  uint32_t traits;
  ShapeRule infer;

  bool Has(OpTrait trait) const { return (traits & trait) != 0; }
};

// Every dimension is at least 1, the product at most 2^40: sizes in bytes cannot overflow.
bool ShapeInRange(const Shape& shape);

const OpInfo& InfoOf(OpKind kind);
// nullptr where there is none of that name.
const OpInfo* FindOp(std::string_view name);

// Checks arity and attribute type, then the op's own rule. `results.size()` must be the row's.
// What comes in with `results` is overwritten; fill alone, which has no operand, keeps its dtype.
Status InferShapes(OpKind kind, std::span<const TensorType> operands, const Attrs& attrs,
                   std::span<TensorType> results);

// May result 0 of an op that is kInplace start where operand 0 does? As a rule where both have the
// same type. A depthwise convolution may where each result, one after the other, overwrites only
// what no later one reads; its result may then be smaller.
bool MayLieOver(OpKind kind, const TensorType& operand, const TensorType& result,
                const Attrs& attrs);

// Multiply-accumulates of one execution (the whole batch); 0 for ops without kHasMacs.
int64_t MacsOf(OpKind kind, std::span<const TensorType> operands,
               std::span<const TensorType> results, const Attrs& attrs);

// Attributes of `kind` with default values; from the bytes that a plan stores, with all enums,
// flags and shapes in range, else an error.
Attrs DefaultAttrs(OpKind kind);
Result<Attrs> AttrsFromBytes(OpKind kind, std::span<const uint8_t> bytes);
// The struct in `attrs` as it lies in memory, padding and all: what KernelArgs::attrs points to.
std::span<const uint8_t> AttrsBytes(const Attrs& attrs);
// The same with zeros for padding: what a plan stores. `bytes` has attrs_bytes of the row.
void WriteAttrs(const Attrs& attrs, std::span<uint8_t> bytes);

}  // namespace pocketune
