#include "engine/ops/op_info.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/math.h"
#include "engine/ops/shape_rules.h"

namespace pocketune {
namespace {

template <class A, size_t I = 0>
constexpr size_t IndexOf() {
  if constexpr (std::is_same_v<A, std::variant_alternative_t<I, Attrs>>) {
    return I;
  } else {
    return IndexOf<A, I + 1>();
  }
}

template <class A>
constexpr uint32_t BytesOf() {
  static_assert(std::is_trivially_copyable_v<A> && std::is_standard_layout_v<A>);
  return std::is_empty_v<A> ? 0 : sizeof(A);
}

constexpr OpInfo kOps[] = {
#define PT_OP(kind, name, least, most, results, attrs, traits, rule, gradient)             \
  {OpKind::k##kind,  name,       least, most, results, IndexOf<attrs>(), BytesOf<attrs>(), \
   uint32_t(traits), Infer##rule},
#include "engine/ops/ops.def"
#undef PT_OP
};

// Offset of a field in its struct.
template <class A, class T>
size_t OffsetOf(const A& attrs, const T& field) {
  return size_t(reinterpret_cast<const char*>(&field) - reinterpret_cast<const char*>(&attrs));
}

// A shape in a plan: six dimensions of 8 bytes, the rank in 4, as the class keeps them.
constexpr size_t kRankOffset = Shape::kMaxRank * sizeof(int64_t);
static_assert(sizeof(Shape) == kRankOffset + 8 && std::is_standard_layout_v<Shape>);

// Reads one field from raw bytes. A flag, an enum or a shape is formed only after its bytes are
// found to be in range. False where they are not.
template <class T>
bool ReadField(const uint8_t* bytes, T& field) {
  std::memcpy(&field, bytes, sizeof(field));
  return true;
}
bool ReadField(const uint8_t* bytes, bool& field) {
  field = bytes[0] == 1;
  return bytes[0] <= 1;
}
bool ReadField(const uint8_t* bytes, Act& field) {
  int32_t value;
  std::memcpy(&value, bytes, sizeof(value));
  if (value < 0 || value >= kActCount) return false;
  field = static_cast<Act>(value);
  return true;
}
bool ReadField(const uint8_t* bytes, Shape& field) {
  int64_t dims[Shape::kMaxRank];
  int32_t rank;
  std::memcpy(dims, bytes, sizeof(dims));
  std::memcpy(&rank, bytes + kRankOffset, sizeof(rank));
  if (rank < 0 || rank > Shape::kMaxRank) return false;
  for (int i = rank; i < Shape::kMaxRank; ++i) {
    if (dims[i] != 0) return false;
  }
  field = Shape(std::span<const int64_t>(dims, size_t(rank)));
  return ShapeInRange(field);
}

template <class T>
void WriteField(const T& field, uint8_t* bytes) {
  std::memcpy(bytes, &field, sizeof(field));
}
void WriteField(const Shape& field, uint8_t* bytes) {
  const int32_t rank = field.rank();
  std::memcpy(bytes, field.dims().data(), field.dims().size_bytes());
  std::memcpy(bytes + kRankOffset, &rank, sizeof(rank));
}

template <class A>
Result<Attrs> Parse(std::span<const uint8_t> bytes) {
  if (bytes.size() != BytesOf<A>()) {
    return Invalid("attributes: wrong number of bytes", int64_t(bytes.size()));
  }
  A attrs;
  Status status;
  A::Visit(attrs, [&](const char*, auto& field) {
    const size_t offset = OffsetOf(attrs, field);
    if (!ReadField(bytes.data() + offset, field)) {
      status = Invalid("attributes: a value is out of range", int64_t(offset));
    }
  });
  if (!status.ok()) return status;
  return Attrs(attrs);
}

struct AttrsMaker {
  Attrs (*make_default)();
  Result<Attrs> (*parse)(std::span<const uint8_t>);
};

template <size_t... I>
const AttrsMaker& MakerOf(size_t index, std::index_sequence<I...>) {
  static constexpr AttrsMaker kMakers[] = {{[] { return Attrs(std::in_place_index<I>); },
                                            Parse<std::variant_alternative_t<I, Attrs>>}...};
  return kMakers[index];
}

const AttrsMaker& MakerOf(OpKind kind) {
  return MakerOf(InfoOf(kind).attrs_index, std::make_index_sequence<std::variant_size_v<Attrs>>());
}

// The operand that holds labels, which are i32 where all others are floating-point; -1: none.
int LabelOperand(OpKind kind) {
  if (kind == OpKind::kSoftmaxCrossEntropy) return 1;
  if (kind == OpKind::kSoftmaxCrossEntropyGrad) return 2;
  return -1;
}

// The operand that holds bytes: a bit for each element of another, or packed values; -1: none.
int BytesOperand(OpKind kind) {
  if (kind == OpKind::kGateGrad) return 1;
  return kind == OpKind::kWiden ? 0 : -1;
}

Status CheckOperands(OpKind kind, std::span<const TensorType> operands) {
  for (int i = 0; i < int(operands.size()); ++i) {
    if (!ShapeInRange(operands[i].shape)) {
      return Invalid("operand: a dimension is below 1 or the elements are too many", i);
    }
    const DType dtype = operands[i].dtype;
    if (i == LabelOperand(kind)) {
      if (dtype != DType::kI32) return Invalid("operand: labels must be i32", i);
    } else if (i == BytesOperand(kind)) {
      if (dtype != DType::kU8) return Invalid("operand: a mask or packed value must be u8", i);
    } else if (kind == OpKind::kSlice && dtype == DType::kI32) {
      continue;  // labels of a part of the batch
    } else if (dtype != operands[0].dtype || (dtype != DType::kF32 && dtype != DType::kF64)) {
      return Invalid("operand: operands must be all f32 or all f64", i);
    }
  }
  return OkStatus();
}

// Product that stops at the largest int64.
int64_t Product(std::initializer_list<int64_t> factors) {
  int64_t n = 1;
  for (const int64_t f : factors) {
    if (!CheckedMul(n, f, &n)) return INT64_MAX;
  }
  return n;
}

}  // namespace

const OpInfo& InfoOf(OpKind kind) {
  PT_CHECK(static_cast<int>(kind) < kOpCount);
  return kOps[static_cast<int>(kind)];
}

const OpInfo* FindOp(std::string_view name) {
  for (const OpInfo& op : kOps) {
    if (name == op.name) return &op;
  }
  return nullptr;
}

Status InferShapes(OpKind kind, std::span<const TensorType> operands, const Attrs& attrs,
                   std::span<TensorType> results) {
  const OpInfo& op = InfoOf(kind);
  const int count = int(operands.size());
  if (count < op.min_operands || count > op.max_operands) {
    return Invalid("op: wrong number of operands", count);
  }
  if (int(results.size()) != op.results) {
    return Invalid("op: wrong number of results", int64_t(results.size()));
  }
  if (attrs.index() != op.attrs_index) {
    return Invalid("op: attributes of another op", int64_t(attrs.index()));
  }
  PT_RETURN_IF_ERROR(CheckAttrs(attrs));
  PT_RETURN_IF_ERROR(CheckOperands(kind, operands));
  PT_RETURN_IF_ERROR(op.infer(operands, attrs, results));
  for (int i = 0; i < op.results; ++i) {
    if (!ShapeInRange(results[i].shape)) return Invalid("result: has too many elements", i);
  }
  return OkStatus();
}

bool MayLieOver(OpKind kind, const TensorType& operand, const TensorType& result,
                const Attrs& attrs) {
  if (!InfoOf(kind).Has(kInplace)) return false;
  if (kind != OpKind::kDepthwiseConv2d) return operand == result;
  const ConvAttrs& a = As<ConvAttrs>(attrs);
  if (a.act != Act::kNone && a.act != Act::kRelu && a.act != Act::kRelu6) return false;
  // Result pixel i of a line takes the place of pixel i; later ones read from (i + 1) * stride -
  // pad on, which is above i.
  for (int i = 0; i < 2; ++i) {
    if (a.pad[2 * i] >= a.stride[i] || result.shape[1 + i] > operand.shape[1 + i]) return false;
  }
  return true;
}

int64_t MacsOf(OpKind kind, std::span<const TensorType> operands,
               std::span<const TensorType> results, const Attrs& attrs) {
  switch (kind) {
    case OpKind::kConv2d: {
      const Shape& w = operands[1].shape;
      return Product({results[0].shape.elems(), w[1], w[2], w[3]});
    }
    case OpKind::kConv2dGradInput: {
      const Shape& w = operands[1].shape;
      return Product({operands[0].shape.elems(), w[1], w[2], w[3]});
    }
    case OpKind::kConv2dGradFilter: {
      const Shape& dw = results[0].shape;
      return Product({operands[0].shape.elems(), dw[1], dw[2], dw[3]});
    }
    case OpKind::kDepthwiseConv2d: {
      const Shape& w = operands[1].shape;
      return Product({results[0].shape.elems(), w[0], w[1]});
    }
    case OpKind::kDepthwiseConv2dGradInput: {
      const Shape& w = operands[1].shape;
      return Product({operands[0].shape.elems(), w[0], w[1]});
    }
    case OpKind::kDepthwiseConv2dGradFilter: {
      const Shape& dw = results[0].shape;
      return Product({operands[0].shape.elems(), dw[0], dw[1]});
    }
    case OpKind::kMatmul: {
      const Shape& a = operands[0].shape;
      return Product({results[0].shape.elems(), As<MatmulAttrs>(attrs).trans_a ? a[-2] : a[-1]});
    }
    default:
      return 0;
  }
}

Attrs DefaultAttrs(OpKind kind) { return MakerOf(kind).make_default(); }

Result<Attrs> AttrsFromBytes(OpKind kind, std::span<const uint8_t> bytes) {
  return MakerOf(kind).parse(bytes);
}

std::span<const uint8_t> AttrsBytes(const Attrs& attrs) {
  return std::visit(
      [](const auto& a) -> std::span<const uint8_t> {
        return {reinterpret_cast<const uint8_t*>(&a), BytesOf<std::decay_t<decltype(a)>>()};
      },
      attrs);
}

void WriteAttrs(const Attrs& attrs, std::span<uint8_t> bytes) {
  std::visit(
      [&](const auto& a) {
        PT_CHECK(bytes.size() == BytesOf<std::decay_t<decltype(a)>>());
        std::fill(bytes.begin(), bytes.end(), uint8_t{0});
        a.Visit(a, [&](const char*, const auto& field) {
          WriteField(field, bytes.data() + OffsetOf(a, field));
        });
      },
      attrs);
}

}  // namespace pocketune
