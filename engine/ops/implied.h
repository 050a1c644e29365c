// What a name or a rank says of a port or a parameter where nothing else does: in plans that were
// made before these had roles and layouts. Texts and plans leave out what is so.
#pragma once

#include <string_view>

#include "pocketune/types.h"

namespace pocketune {

constexpr PortRole ImpliedInputRole(std::string_view name) {
  if (name == "label" || name == "target") return PortRole::kLabel;
  return name == "weight" ? PortRole::kSampleWeight : PortRole::kData;
}

constexpr PortRole ImpliedOutputRole(std::string_view name) {
  if (name == "loss") return PortRole::kLoss;
  return name == "logits" ? PortRole::kPrediction : PortRole::kOther;
}

// `is_weight`: not a bias, a state or what a batch norm has.
constexpr ParamLayout ImpliedLayout(bool is_weight, int rank) {
  if (!is_weight || rank < 3 || rank > 4) return ParamLayout::kRows;
  return rank == 4 ? ParamLayout::kConv : ParamLayout::kDepthwise;
}

// Is it one that an input, or an output, can have?
constexpr bool IsInputRole(PortRole role) { return role <= PortRole::kSampleWeight; }
constexpr bool IsOutputRole(PortRole role) {
  return role > PortRole::kSampleWeight && role <= PortRole::kOther;
}

// Can a parameter of that rank have it?
constexpr bool Suits(ParamLayout layout, int rank) {
  if (layout == ParamLayout::kRows) return true;
  return rank == (layout == ParamLayout::kConv ? 4 : 3);
}

}  // namespace pocketune
