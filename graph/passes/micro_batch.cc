#include "graph/passes/micro_batch.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/ir/builder.h"
#include "graph/memory/order_search.h"

namespace pocketune {
namespace {

class BatchSplitter {
 public:
  BatchSplitter(const Graph& forward, const std::vector<bool>& sliced, int slices)
      : forward_(forward),
        sliced_(sliced),
        slices_(slices),
        samples_(forward.values.size(), false) {}

  absl::StatusOr<SplitForward> Batch(ValueId prediction) {
    if (absl::Status status = CopySlices(); !status.ok()) return status;
    for (const std::vector<ValueId>& map : maps_) {
      split_.predictions.push_back(map[prediction]);
    }
    if (absl::Status status = FollowStatistics(); !status.ok()) return status;
    split_.slice_of.resize(split_.graph.nodes.size(), slices_ - 1);
    return std::move(split_);
  }

  // One slice alone, whose inputs hold no more than it.
  absl::StatusOr<Graph> Single() {
    if (absl::Status status = CopySources(); !status.ok()) return status;
    for (size_t i = 0; i < forward_.values.size(); ++i) {
      if (samples_[i]) split_.graph.value(sources_[i]).type.shape[0] = batch_ / slices_;
    }
    std::vector<ValueId> map = sources_;
    if (absl::Status status = CopyNodes(0, map); !status.ok()) return status;
    for (const Output& output : forward_.outputs) {
      split_.graph.outputs.push_back({output.name, map[output.value], output.role});
    }
    return std::move(split_.graph);
  }

  absl::StatusOr<Graph> Prefix() {
    if (absl::Status status = CopySlices(); !status.ok()) return status;
    std::vector<ValueId> map = sources_;
    GraphBuilder builder(&split_.graph);
    const auto joined = [&](ValueId id) {
      if (map[id] == kNone) map[id] = Join(builder, id);
      return map[id];
    };
    for (size_t n = 0; n < forward_.nodes.size(); ++n) {
      if (sliced_[n]) continue;
      const Node& node = forward_.nodes[n];
      std::vector<ValueId> operands;
      for (ValueId id : node.operands) operands.push_back(joined(id));
      builder.set_loc(node.loc);
      builder.set_phase(node.phase);
      const std::vector<ValueId> results = builder.Multi(node.op, std::move(operands), node.attrs);
      for (size_t r = 0; r < results.size(); ++r) map[node.results[r]] = results[r];
    }
    builder.set_phase(Phase::kForward);
    for (const Output& output : forward_.outputs) {
      split_.graph.outputs.push_back({output.name, joined(output.value), output.role});
    }
    if (!builder.status().ok()) return builder.status();
    return std::move(split_.graph);
  }

 private:
  absl::Status CopySlices() {
    if (absl::Status status = CopySources(); !status.ok()) return status;
    for (int slice = 0; slice < slices_; ++slice) {
      std::vector<ValueId>& map = maps_.emplace_back(sources_);
      if (absl::Status status = CopySlice(slice, map); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // The slices of a value behind each other, at most eight at a time.
  ValueId Join(GraphBuilder& builder, ValueId id) const {
    constexpr size_t kMost = 8;
    std::vector<ValueId> parts;
    for (const std::vector<ValueId>& map : maps_) parts.push_back(map[id]);
    if (!samples_[id]) return parts[0];
    builder.set_loc("micro_batch");
    while (parts.size() > 1) {
      std::vector<ValueId> longer;
      for (size_t i = 0; i < parts.size(); i += kMost) {
        const auto first = parts.begin() + static_cast<int64_t>(i);
        const auto last = first + static_cast<int64_t>(std::min(kMost, parts.size() - i));
        longer.push_back(last - first == 1
                             ? *first
                             : builder.Op(OpKind::kConcat, {first, last}, AxisAttrs{.axis = 0}));
      }
      parts = std::move(longer);
    }
    return parts[0];
  }

  absl::Status CopySources() {
    split_.graph.name = forward_.name;
    sources_.assign(forward_.values.size(), kNone);
    for (size_t i = 0; i < forward_.values.size(); ++i) {
      const Value& value = forward_.values[i];
      if (value.kind == ValueKind::kResult) continue;
      sources_[i] = static_cast<ValueId>(split_.graph.values.size());
      split_.graph.values.push_back(value);
      if (value.kind != ValueKind::kInput) continue;
      samples_[i] = true;
      batch_ = value.type.shape[0];
      if (batch_ % slices_ != 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("micro-batch: the batch is no multiple of it (got ", slices_,
                         " slices of ", batch_, ")"));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<NodeId> Add(int slice, OpKind op, std::vector<ValueId> operands, Attrs attrs,
                             const Node& like) {
    split_.slice_of.resize(split_.graph.nodes.size(), slice);
    return split_.graph.AddNode(op, std::move(operands), std::move(attrs), like.phase, like.loc);
  }

  absl::Status CopySlice(int slice, std::vector<ValueId>& map) {
    for (size_t i = 0; i < forward_.values.size(); ++i) {
      if (forward_.values[i].kind != ValueKind::kInput) continue;
      SliceAttrs attrs{.shape = forward_.values[i].type.shape};
      attrs.shape[0] = batch_ / slices_;
      attrs.begin[0] = static_cast<int32_t>(slice * attrs.shape[0]);
      const absl::StatusOr<NodeId> node =
          Add(slice, OpKind::kSlice, {map[i]}, attrs, Node{.loc = "micro_batch"});
      if (!node.ok()) return node.status();
      map[i] = split_.graph.nodes[*node].results[0];
    }
    return CopyNodes(slice, map);
  }

  // `map` starts with the slice's inputs.
  absl::Status CopyNodes(int slice, std::vector<ValueId>& map) {
    for (size_t n = 0; n < forward_.nodes.size(); ++n) {
      const Node& node = forward_.nodes[n];
      if (!sliced_[n] || node.info().Has(kUpdate)) continue;
      std::vector<ValueId> operands;
      bool sampled = false;
      for (ValueId id : node.operands) {
        operands.push_back(map[id]);
        sampled = sampled || samples_[id];
      }
      const absl::StatusOr<Attrs> attrs = AttrsOf(node, sampled, slice);
      if (!attrs.ok()) return attrs.status();
      const absl::StatusOr<NodeId> copy = Add(slice, node.op, std::move(operands), *attrs, node);
      if (!copy.ok()) return copy.status();
      for (size_t r = 0; r < node.results.size(); ++r) {
        map[node.results[r]] = split_.graph.nodes[*copy].results[r];
        split_.graph.value(map[node.results[r]]).name = forward_.value(node.results[r]).name;
      }
      if (absl::Status status = CheckResults(node, sampled, map); !status.ok()) return status;
    }
    split_.slice_of.resize(split_.graph.nodes.size(), slice);
    return absl::OkStatus();
  }

  absl::Status Mixes(const Node& node) const {
    return absl::UnimplementedError(absl::StrCat("micro-batch: ", node.loc, ": ", node.info().name,
                                                 ": the op mixes the batch's samples"));
  }

  // The attributes for a slice of the batch. `sampled`: an operand depends on the samples.
  absl::StatusOr<Attrs> AttrsOf(const Node& node, bool sampled, int slice) const {
    Attrs attrs = node.attrs;
    if (!sampled) return attrs;
    const auto is_batch = [&](const Shape& shape) {
      return shape.rank() > 0 && shape[0] % slices_ == 0;
    };
    if (auto* shaped = std::get_if<ShapeAttrs>(&attrs)) {
      if (!is_batch(shaped->shape)) return Mixes(node);
      shaped->shape[0] /= slices_;
    } else if (auto* box = std::get_if<SliceAttrs>(&attrs)) {
      if (!is_batch(box->shape) || box->begin[0] != 0) return Mixes(node);
      box->shape[0] /= slices_;
    } else if (auto* axis = std::get_if<AxisAttrs>(&attrs)) {
      if (axis->axis == 0) return Mixes(node);
    } else if (auto* dropout = std::get_if<DropoutAttrs>(&attrs)) {
      // Every slice draws numbers of its own.
      dropout->salt = dropout->salt * static_cast<uint32_t>(slices_) + static_cast<uint32_t>(slice);
    }
    return attrs;
  }

  // A result that depends on the samples has a slice of them in dimension 0 and all else as before,
  // but for statistics.
  absl::Status CheckResults(const Node& node, bool sampled, const std::vector<ValueId>& map) {
    for (size_t r = 0; r < node.results.size(); ++r) {
      const ValueId id = node.results[r];
      if (sampled && node.op == OpKind::kBatchNorm && r > 0) continue;
      samples_[id] = sampled;
      Shape want = forward_.shape(id);
      if (sampled) {
        if (want.rank() == 0 || want[0] % slices_ != 0) return Mixes(node);
        want[0] /= slices_;
      }
      if (split_.graph.shape(map[id]) != want) return Mixes(node);
    }
    return absl::OkStatus();
  }

  ValueId MeanOverSlices(GraphBuilder& builder, ValueId id) const {
    ValueId sum = maps_[0][id];
    for (int slice = 1; slice < slices_; ++slice) {
      sum = builder.Op(OpKind::kAdd, {sum, maps_[slice][id]});
    }
    return builder.Affine(sum, 1.0 / slices_);
  }

  absl::Status FollowStatistics() {
    GraphBuilder builder(&split_.graph);
    for (const Node& node : forward_.nodes) {
      if (node.op != OpKind::kBatchNormUpdate) continue;
      auto attrs = std::get<NormUpdateAttrs>(node.attrs);
      attrs.count /= slices_;
      builder.set_loc(node.loc);
      builder.set_phase(Phase::kForward);
      const ValueId mean = MeanOverSlices(builder, node.operands[2]);
      const ValueId var = MeanOverSlices(builder, node.operands[3]);
      builder.set_phase(Phase::kUpdate);
      builder.Multi(node.op, {sources_[node.operands[0]], sources_[node.operands[1]], mean, var},
                    attrs);
    }
    return builder.status();
  }

  const Graph& forward_;
  const std::vector<bool>& sliced_;  // per node
  const int slices_;
  std::vector<bool> samples_;  // per value of `forward_`: depends on the batch's samples
  std::vector<ValueId> sources_;
  std::vector<std::vector<ValueId>> maps_;  // per slice: values of `forward_` in the new graph
  int64_t batch_ = 0;
  SplitForward split_;
};

constexpr int kMaxSlices = 16;  // plans and compile times grow with them

}  // namespace

std::vector<int> SlicesOf(int batch) {
  std::vector<int> numbers;
  for (int slices = 2; slices <= std::min(batch, kMaxSlices); ++slices) {
    if (batch % slices == 0) numbers.push_back(slices);
  }
  return numbers;
}

int MicroBatchOf(int slices, int batch) { return slices > 1 ? batch / slices : 0; }

absl::StatusOr<SplitForward> SplitBatch(const Graph& forward, ValueId prediction, int slices) {
  const std::vector<bool> all(forward.nodes.size(), true);
  return BatchSplitter(forward, all, slices).Batch(prediction);
}

absl::StatusOr<Graph> SlicePrefix(const Graph& forward, const std::vector<bool>& prefix,
                                  int slices) {
  return BatchSplitter(forward, prefix, slices).Prefix();
}

absl::StatusOr<Graph> SingleSample(const Graph& forward, int batch) {
  const std::vector<bool> all(forward.nodes.size(), true);
  return BatchSplitter(forward, all, batch).Single();
}

std::vector<bool> FrozenPrefix(const Graph& forward) {
  std::vector<bool> prefix;
  for (const Node& node : forward.nodes) {
    const bool alone =
        node.op != OpKind::kBatchNorm && node.op != OpKind::kDropout && !node.info().Has(kUpdate);
    prefix.push_back(
        alone && std::all_of(node.operands.begin(), node.operands.end(), [&](ValueId id) {
          const Value& value = forward.value(id);
          return value.kind == ValueKind::kResult ? prefix[value.producer] : !value.trainable;
        }));
  }
  return prefix;
}

void OrderBySlice(Graph& graph, const std::vector<int>& slice_of, int slices) {
  std::vector<int> turn(graph.nodes.size(), 0);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (n < slice_of.size()) turn[n] = slices - 1 - slice_of[n];
    for (ValueId id : graph.nodes[n].operands) {
      const NodeId producer = graph.value(id).producer;
      if (producer != kNone) turn[n] = std::max(turn[n], turn[producer]);
    }
    if (graph.nodes[n].info().Has(kUpdate)) turn[n] = slices;
  }
  std::vector<NodeId> order(graph.nodes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](NodeId a, NodeId b) { return turn[a] < turn[b]; });
  ApplyOrder(graph, order);
}

}  // namespace pocketune
