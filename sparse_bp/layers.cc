#include "sparse_bp/layers.h"

#include <set>

namespace pocketune {
namespace {

// The dimension of operand 1 that numbers input channels, or kNone where the op has no such.
int ChannelAxis(const Graph& graph, const Node& node) {
  switch (node.op) {
    case OpKind::kConv2d:
      return 3;  // OHWI
    case OpKind::kDepthwiseConv2d:
      return 2;  // HWC
    case OpKind::kMatmul:
      if (graph.shape(node.operands[1]).rank() != 2) return kNone;
      return std::get<MatmulAttrs>(node.attrs).trans_b ? 1 : 0;
    default:
      return kNone;
  }
}

bool IsNorm(OpKind op) { return op == OpKind::kBatchNorm || op == OpKind::kBatchNormFrozen; }

// The shift of the batch norm that reads `value`, or kNone.
ValueId ShiftBehind(const Graph& graph, const std::vector<NodeId>& users, ValueId value) {
  for (NodeId n : users) {
    const Node& node = graph.nodes[n];
    if (IsNorm(node.op) && node.operands[0] == value) return node.operands[2];
  }
  return kNone;
}

}  // namespace

std::vector<int> ChannelAxes(const Graph& forward) {
  std::vector<int> axes(forward.values.size(), kNone);
  std::set<ValueId> differ;  // tied weights whose layers see different dimensions as channels
  for (const Node& node : forward.nodes) {
    const int axis = ChannelAxis(forward, node);
    if (axis == kNone) continue;
    const ValueId weight = node.operands[1];
    if (axes[weight] != kNone && axes[weight] != axis) differ.insert(weight);
    axes[weight] = axis;
  }
  for (const ValueId weight : differ) axes[weight] = kNone;
  return axes;
}

std::vector<Layer> LayersOf(const Graph& forward) {
  const std::vector<std::vector<NodeId>> users = UsersOf(forward);
  std::vector<Layer> layers;
  for (size_t n = 0; n < forward.nodes.size(); ++n) {
    const Node& node = forward.nodes[n];
    Layer layer;
    layer.node = static_cast<NodeId>(n);
    layer.axis = ChannelAxis(forward, node);
    if (layer.axis == kNone) continue;
    layer.weight = node.operands[1];
    const Value& weight = forward.value(layer.weight);
    if (weight.kind != ValueKind::kParam || weight.section == Section::kClassifier) continue;
    layer.bias = node.operands.size() > 2
                     ? node.operands[2]
                     : ShiftBehind(forward, users[node.results[0]], node.results[0]);
    layers.push_back(layer);
  }
  return layers;
}

LayerSizes SizesOf(const Graph& forward, const Layer& layer) {
  const Node& node = forward.nodes[layer.node];
  const Shape& x = forward.shape(node.operands[0]);
  const Shape& y = forward.shape(node.results[0]);
  LayerSizes sizes;
  sizes.in_channels = x[-1];
  sizes.out_channels = y[-1];
  sizes.in_pixels = x.elems() / x[0] / x[-1];
  sizes.out_pixels = y.elems() / y[0] / y[-1];
  return sizes;
}

}  // namespace pocketune
