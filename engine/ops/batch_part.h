// Which ops can run on equal parts of the batch, one part after the other, and what they see of
// their operands then. The compiler lays loops out with it; the runtime checks and runs them by it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/ops/op_info.h"

namespace pocketune {

// Part p of a tensor that is cut into n is the p-th of n equal pieces of its bytes, which are the
// p-th piece of dimension 0 as well.
struct PartForm {
  uint32_t cut_operands = 0;  // bit i: operand i is cut; the others are read whole by each part
  bool sums = false;          // results are sums over the parts; else they are cut like operands
  bool cuts(size_t operand) const { return (cut_operands >> operand & 1) != 0; }
};

// How an op runs on `parts` parts of the batch; nothing where it cannot, since it
// mixes samples or a dimension is no multiple of `parts`. The types are those of the whole batch.
std::optional<PartForm> PartFormOf(OpKind kind, std::span<const TensorType> operands,
                                   std::span<const TensorType> results, const Attrs& attrs,
                                   int parts);

// One part's type, of a tensor that is cut.
TensorType PartOf(TensorType type, int parts);
// The attributes for one part.
Attrs PartOf(Attrs attrs, int parts);

}  // namespace pocketune
