#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/passes/pass.h"
#include "graph/passes/rewrite.h"

namespace pocketune {
namespace {

// The dimension of a layer's weight that numbers its output channels, or kNone where the op is no
// layer with a weight matrix.
int ChannelDim(const Graph& graph, const Node& layer) {
  switch (layer.op) {
    case OpKind::kConv2d:
      return 0;  // OHWI
    case OpKind::kDepthwiseConv2d:
      return 2;  // HWC
    case OpKind::kMatmul:
      if (graph.shape(layer.operands[1]).rank() != 2) return kNone;
      return std::get<MatmulAttrs>(layer.attrs).trans_b ? 0 : 1;
    default:
      return kNone;
  }
}

// w times factor[c], c the index along dimension `dim`; rounded once.
std::vector<float> ScaleChannels(const Value& w, int dim, const std::vector<double>& factor) {
  int64_t inner = 1;
  for (int i = dim + 1; i < w.type.shape.rank(); ++i) inner *= w.type.shape[i];
  std::vector<float> scaled(w.data->size());
  for (size_t i = 0; i < scaled.size(); ++i) {
    const size_t channel = i / static_cast<size_t>(inner) % factor.size();
    scaled[i] = static_cast<float>((*w.data)[i] * factor[channel]);
  }
  return scaled;
}

class BatchnormFolder {
 public:
  explicit BatchnormFolder(Graph& graph)
      : graph_(graph), consts_(graph), uses_(CountUses(graph)), keep_(graph.nodes.size(), true) {}

  void Run() {
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (CanFold(graph_.nodes[n])) Fold(static_cast<NodeId>(n));
    }
    graph_.Compact(keep_);
  }

 private:
  bool CanFold(const Node& norm) {
    if (norm.op != OpKind::kBatchNormFrozen) return false;
    const ValueId x = norm.operands[0];
    if (graph_.value(x).producer == kNone || uses_[x] != 1) return false;
    Node& layer = graph_.nodes[graph_.value(x).producer];
    if (ChannelDim(graph_, layer) == kNone || *ActOf(layer.attrs) != Act::kNone) return false;
    for (size_t i = 1; i < layer.operands.size(); ++i) {
      if (!IsFixed(graph_.value(layer.operands[i]))) return false;
    }
    for (int i : {1, 3, 4}) {
      if (!IsFixed(graph_.value(norm.operands[i]))) return false;
    }
    return true;
  }

  // The layer moves into the normalization's place; its own is taken by the sum that makes its
  // bias, where the shift learns.
  void Fold(NodeId n) {
    const Node norm = graph_.nodes[n];
    const NodeId layer_id = graph_.value(norm.operands[0]).producer;
    Node layer = graph_.nodes[layer_id];
    const std::vector<double> factor = Factors(norm);
    const Value& w = graph_.value(layer.operands[1]);
    std::vector<float> scaled = ScaleChannels(w, ChannelDim(graph_, layer), factor);
    const ValueId weight = consts_.Add(w.name + ".folded", w.type.shape, std::move(scaled));
    const ValueId bias = MakeBias(norm, layer, layer_id, factor);
    layer.operands = {layer.operands[0], weight, bias};
    *ActOf(layer.attrs) = std::get<NormAttrs>(norm.attrs).act;
    layer.results = norm.results;
    graph_.nodes[n] = std::move(layer);
  }

  // scale / sqrt(var + eps) of each channel.
  std::vector<double> Factors(const Node& norm) const {
    const std::vector<float>& scale = *graph_.value(norm.operands[1]).data;
    const std::vector<float>& var = *graph_.value(norm.operands[4]).data;
    const double eps = std::get<NormAttrs>(norm.attrs).eps;
    std::vector<double> factor(scale.size());
    for (size_t c = 0; c < factor.size(); ++c) factor[c] = scale[c] / std::sqrt(var[c] + eps);
    return factor;
  }

  ValueId MakeBias(const Node& norm, const Node& layer, NodeId layer_id,
                   const std::vector<double>& factor) {
    const Value& shift = graph_.value(norm.operands[2]);
    const std::vector<float>& mean = *graph_.value(norm.operands[3]).data;
    const bool fixed = IsFixed(shift);
    std::vector<float> constant(factor.size());
    for (size_t c = 0; c < factor.size(); ++c) {
      const double old = layer.operands.size() > 2 ? (*graph_.value(layer.operands[2]).data)[c] : 0;
      const double folded = (old - mean[c]) * factor[c];
      constant[c] = static_cast<float>(fixed ? (*shift.data)[c] + folded : folded);
    }
    const Shape shape = shift.type.shape;
    const ValueId offset = consts_.Add(shift.name + ".folded", shape, std::move(constant));
    if (fixed) {
      keep_[layer_id] = false;
      return offset;
    }
    Node& add = graph_.nodes[layer_id];
    add.op = OpKind::kAdd;
    add.attrs = NoAttrs{};
    add.operands = {norm.operands[2], offset};
    add.loc = norm.loc;
    graph_.value(add.results[0]).type.shape = shape;
    graph_.value(add.results[0]).name.clear();
    return add.results[0];
  }

  Graph& graph_;
  ConstAdder consts_;
  std::vector<int> uses_;
  std::vector<bool> keep_;
};

}  // namespace

// Folds batch_norm_frozen into the convolution or linear layer that it alone reads, where neither
// the layer nor the scale learns:
//   w' = w f,  bias = (b - mean) f + shift,  f = scale / sqrt(var + eps)
// in double, rounded once. A shift that learns stays a parameter with its own meaning: the bias is
// then the sum of a constant and the shift. Where weight or scale learns the normalization stays.
// Runs on the forward graph before autodiff, `trainable` flags set: gradients are derived from the
// folded form, so there is no backward to rewrite.
absl::Status RunFoldBatchnorm(Graph& graph, PassContext&) {
  if (graph.stage != Stage::kForward) {
    return absl::FailedPreconditionError("fold_batchnorm: needs a forward graph");
  }
  BatchnormFolder(graph).Run();
  return absl::OkStatus();
}

}  // namespace pocketune
