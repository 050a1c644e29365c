#include "engine/ops/batch_part.h"

#include <algorithm>

namespace pocketune {
namespace {

constexpr uint32_t kFirst = 1;
constexpr uint32_t kFirstTwo = 3;

bool Divides(const TensorType& type, int parts) {
  return type.shape.rank() > 0 && type.shape[0] % parts == 0;
}

// Operands that reach over all samples are cut, those that are broadcast to them are not.
std::optional<PartForm> ElementwiseForm(std::span<const TensorType> operands,
                                        const TensorType& result) {
  PartForm form;
  for (size_t i = 0; i < operands.size(); ++i) {
    const Shape& shape = operands[i].shape;
    const bool cut = shape.rank() == result.shape.rank() && shape.rank() > 0 &&
                     shape[0] == result.shape[0] && shape[0] > 1;
    form.cut_operands |= cut ? 1u << i : 0u;
  }
  return form;
}

std::optional<PartForm> ReduceForm(OpKind kind, const Attrs& attrs) {
  const bool over_samples = (std::get<ReduceAttrs>(attrs).axes & 1) != 0;
  if (over_samples && kind != OpKind::kReduceSum) return std::nullopt;
  return PartForm{kFirst, over_samples};
}

bool KeepsSamples(const SliceAttrs& attrs, const Shape& operand) {
  return attrs.begin[0] == 0 && attrs.shape[0] == operand[0];
}

// As the op's kind and attributes have it, whatever the sizes.
std::optional<PartForm> FormOfKind(OpKind kind, std::span<const TensorType> operands,
                                   std::span<const TensorType> results, const Attrs& attrs) {
  const auto first_if = [](bool holds) -> std::optional<PartForm> {
    if (!holds) return std::nullopt;
    return PartForm{kFirst, false};
  };
  switch (kind) {
    case OpKind::kConv2d:
    case OpKind::kDepthwiseConv2d:
    case OpKind::kConv2dGradInput:
    case OpKind::kDepthwiseConv2dGradInput:
    case OpKind::kBatchNormFrozen:
    case OpKind::kBatchNormFrozenGradInput:
    case OpKind::kBatchNormMoments:
    case OpKind::kMaxPool:
    case OpKind::kAvgPool:
    case OpKind::kAvgPoolGrad:
    case OpKind::kReshape:
    case OpKind::kGateMask:
    case OpKind::kNarrow:
    case OpKind::kWiden:
      return PartForm{kFirst, false};
    case OpKind::kBatchNormGradInput:
    case OpKind::kMaxPoolGrad:
    case OpKind::kGateGrad:
      return PartForm{kFirstTwo, false};
    case OpKind::kConv2dGradFilter:
    case OpKind::kDepthwiseConv2dGradFilter:
    case OpKind::kBatchNormFrozenGradScale:
    case OpKind::kBatchNormGradParams:
      return PartForm{kFirstTwo, true};
    case OpKind::kReduceSum:
    case OpKind::kReduceMean:
    case OpKind::kReduceMax:
      return ReduceForm(kind, attrs);
    case OpKind::kBroadcastTo:
      return first_if(operands[0].shape.rank() == results[0].shape.rank() &&
                      operands[0].shape[0] == results[0].shape[0]);
    case OpKind::kSlice:
      return first_if(KeepsSamples(std::get<SliceAttrs>(attrs), operands[0].shape));
    case OpKind::kGather:
      return first_if(std::get<AxisAttrs>(attrs).axis != 0);
    case OpKind::kPad: {
      const auto& pad = std::get<PadAttrs>(attrs);
      return first_if(pad.before[0] == 0 && pad.after[0] == 0);
    }
    case OpKind::kMatmul:
      return first_if(operands[0].shape.rank() == 2 && !std::get<MatmulAttrs>(attrs).trans_a);
    default:
      if (!InfoOf(kind).Has(kElementwise) || kind == OpKind::kDropout) return std::nullopt;
      return ElementwiseForm(operands, results[0]);
  }
}

}  // namespace

std::optional<PartForm> PartFormOf(OpKind kind, std::span<const TensorType> operands,
                                   std::span<const TensorType> results, const Attrs& attrs,
                                   int parts) {
  if (operands.empty()) return std::nullopt;
  const std::optional<PartForm> form = FormOfKind(kind, operands, results, attrs);
  if (!form.has_value() || form->cut_operands == 0) return std::nullopt;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (form->cuts(i) && !Divides(operands[i], parts)) return std::nullopt;
  }
  for (const TensorType& result : results) {
    if (!form->sums && !Divides(result, parts)) return std::nullopt;
  }
  // In 16 bits a packed tensor is its parts, packed one by one; in 8 all scales stand in front.
  const auto* narrow = std::get_if<NarrowAttrs>(&attrs);
  const auto* widen = std::get_if<WidenAttrs>(&attrs);
  if ((narrow != nullptr && narrow->bits != 16) || (widen != nullptr && widen->bits != 16)) {
    return std::nullopt;
  }
  // A byte of a mask holds the bits of eight elements of one part.
  const bool packs_bits = kind == OpKind::kGateMask || kind == OpKind::kGateGrad;
  if (packs_bits && operands[0].shape.elems() % (int64_t{8} * parts) != 0) return std::nullopt;
  return form;
}

TensorType PartOf(TensorType type, int parts) {
  type.shape[0] /= parts;
  return type;
}

Attrs PartOf(Attrs attrs, int parts) {
  if (auto* shaped = std::get_if<ShapeAttrs>(&attrs)) shaped->shape[0] /= parts;
  if (auto* widen = std::get_if<WidenAttrs>(&attrs)) widen->shape[0] /= parts;
  if (auto* box = std::get_if<SliceAttrs>(&attrs)) box->shape[0] /= parts;
  return attrs;
}

}  // namespace pocketune
