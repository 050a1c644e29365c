#include "engine/runtime/frozen_prefix.h"

#include <algorithm>
#include <limits>
#include <span>
#include <unordered_map>

#include "engine/base/checksum.h"
#include "engine/base/math.h"
#include "engine/base/pages.h"

namespace pocketune {
namespace {

constexpr int kNever = std::numeric_limits<int>::max();
// A shorter row is worth computing this share of the prefix anew in each step.
constexpr double kCheapShare = 0.05;

// Which rows of the batch a tensor holds; count 0: it is no such tensor.
struct RowRange {
  int64_t first = 0;
  int64_t count = 0;
  bool operator==(const RowRange&) const = default;
};

// Finds the prefix's steps and compares the cuts through it.
class Finder {
 public:
  Finder(const fb::Plan& plan, const fb::Schedule& schedule)
      : plan_(plan),
        schedule_(schedule),
        ranges_(schedule.tensors()->size()),
        depths_(schedule.steps()->size()),
        depth_of_(schedule.tensors()->size()),
        read_at_(schedule.tensors()->size()) {}

  // False where there is no input to begin with.
  bool Walk() {
    if (!FindInputs()) return false;
    for (uint32_t s = 0; s < depths_.size(); ++s) VisitStep(s);
    for (const fb::Port* port : *schedule_.outputs()) read_at_[Index(port->tensor())] = kNever;
    SumMacs();
    return true;
  }

  int deepest() const { return deepest_; }
  int64_t batch() const { return batch_; }
  int64_t total_macs() const { return total_macs_; }
  bool Covers(uint32_t step, int depth) const {
    return depths_[step] > 0 && depths_[step] <= depth;
  }
  // Of the steps of depths 1 to [i].
  const std::vector<int64_t>& macs_within() const { return macs_within_; }
  // The first depth behind which nobody reads the inputs that rows can stand in for, which
  // `replaced` becomes; beyond all depths where there is none.
  int FirstCut(uint32_t* replaced) const {
    int depth = -1;
    for (uint32_t i = 0; i < schedule_.inputs()->size(); ++i) {
      const int read_at = read_at_[Index(schedule_.inputs()->Get(i)->tensor())];
      if (!FrozenPrefix::Has(inputs_, i) || read_at == kNever) continue;
      *replaced |= 1u << i;
      depth = std::max(depth, read_at);
    }
    return depth < 0 ? kNever : depth;
  }
  uint32_t inputs() const { return inputs_; }

  // What the prefix's steps make, in their order.
  std::vector<PrefixValue> Values() const {
    std::vector<PrefixValue> values;
    for (uint32_t s = 0; s < depths_.size(); ++s) {
      if (depths_[s] == 0) continue;
      const int32_t tensor = Step(s).results()->Get(0);
      const RowRange range = ranges_[Index(tensor)];
      values.push_back({.step = s,
                        .tensor = tensor,
                        .first_row = range.first,
                        .rows = range.count,
                        .bytes = BytesOf(TypeOf(TensorAt(tensor))) / range.count,
                        .from = depths_[s],
                        .until = read_at_[Index(tensor)],
                        .placed = TensorAt(tensor).storage() == fb::Storage::Arena});
    }
    return values;
  }

 private:
  static size_t Index(int32_t tensor) { return static_cast<size_t>(tensor); }
  const fb::Step& Step(uint32_t s) const { return *schedule_.steps()->Get(s); }
  const fb::Tensor& TensorAt(int32_t tensor) const {
    return *schedule_.tensors()->Get(static_cast<uint32_t>(tensor));
  }
  Shape ShapeAt(int32_t tensor) const { return ShapeOf(*TensorAt(tensor).dims()); }
  bool Constant(int32_t tensor) const { return IsConstant(plan_, TensorAt(tensor)); }

  // Those of f32[N,..], all of one batch.
  bool FindInputs() {
    const uint32_t count = std::min(schedule_.inputs()->size(), FrozenPrefix::kMostInputs);
    for (uint32_t i = 0; i < count; ++i) {
      const fb::Port& port = *schedule_.inputs()->Get(i);
      const TensorType type = TypeOf(TensorAt(port.tensor()));
      if (InputRoleOf(port) != PortRole::kData || type.dtype != DType::kF32 ||
          type.shape.rank() < 2) {
        continue;
      }
      if (batch_ == 0) batch_ = type.shape[0];
      if (type.shape[0] != batch_) continue;
      inputs_ |= 1u << i;
      ranges_[Index(port.tensor())] = {0, batch_};
    }
    return inputs_ != 0;
  }

  int64_t MacsOfStep(uint32_t s) const {
    const OpInfo& op = *FindOp(TextOf(Step(s).op()));
    if (!op.Has(kHasMacs)) return 0;
    std::vector<TensorType> operands, results;
    for (const int32_t t : *Step(s).operands()) operands.push_back(TypeOf(TensorAt(t)));
    for (const int32_t t : *Step(s).results()) results.push_back(TypeOf(TensorAt(t)));
    return MacsOf(op.kind, operands, results,
                  AttrsFromBytes(op.kind, AttrBytesOf(Step(s))).value());
  }

  void VisitStep(uint32_t s) {
    const fb::Step& step = Step(s);
    const RowRange range = RangeOf(step);
    if (range.count > 0) {
      int depth = 0;
      for (const int32_t t : *step.operands()) depth = std::max(depth, depth_of_[Index(t)]);
      depths_[s] = depth + 1;
      deepest_ = std::max(deepest_, depth + 1);
      const size_t result = Index(step.results()->Get(0));
      ranges_[result] = range;
      depth_of_[result] = depth + 1;
    }
    for (const int32_t t : *step.operands()) {
      int& read_at = read_at_[Index(t)];
      read_at = std::max(read_at, range.count > 0 ? depths_[s] : kNever);
    }
  }

  // Sums stop at the largest number, as those of a step do.
  void SumMacs() {
    macs_within_.assign(static_cast<size_t>(deepest_) + 1, 0);
    for (uint32_t s = 0; s < depths_.size(); ++s) {
      const int64_t macs = MacsOfStep(s);
      total_macs_ = SaturatedAdd(total_macs_, macs);
      int64_t& at_depth = macs_within_[static_cast<size_t>(depths_[s])];
      if (depths_[s] > 0) at_depth = SaturatedAdd(at_depth, macs);
    }
    for (size_t i = 1; i < macs_within_.size(); ++i) {
      macs_within_[i] = SaturatedAdd(macs_within_[i], macs_within_[i - 1]);
    }
  }

  // Rows of the step's result; count 0 where it does not belong to the prefix.
  RowRange RangeOf(const fb::Step& step) const {
    const OpInfo& op = *FindOp(TextOf(step.op()));
    if (step.results()->size() != 1 || step.operands()->size() == 0) return {};
    RowRange range = RowsOfOperands(step, op);
    if (range.count == 0) return {};
    const Attrs attrs = AttrsFromBytes(op.kind, AttrBytesOf(step)).value();
    const TensorType result = TypeOf(TensorAt(step.results()->Get(0)));
    if (!KeepsRows(op, attrs, ShapeAt(step.operands()->Get(0)))) return {};
    if (op.kind == OpKind::kSlice) {
      range.first += std::get<SliceAttrs>(attrs).begin[0];
      range.count = result.shape[0];
    }
    const bool fits =
        result.dtype == DType::kF32 && result.shape.rank() > 0 && result.shape[0] == range.count;
    return fits ? range : RowRange{};
  }

  // The rows that all operands of the prefix have in common; the others must be constants that are
  // the same for each row.
  RowRange RowsOfOperands(const fb::Step& step, const OpInfo& op) const {
    RowRange range;
    const int rank = ShapeAt(step.results()->Get(0)).rank();
    const bool many = op.Has(kElementwise) || op.kind == OpKind::kConcat;
    for (uint32_t i = 0; i < step.operands()->size(); ++i) {
      const int32_t tensor = step.operands()->Get(i);
      const RowRange rows = ranges_[Index(tensor)];
      const Shape shape = ShapeAt(tensor);
      if (rows.count > 0) {
        if (i > 0 && (!many || shape.rank() != rank)) return {};
        if (range.count > 0 && rows != range) return {};
        range = rows;
      } else if (!Constant(tensor) || (many && shape.rank() == rank && shape[0] != 1)) {
        return {};
      }
    }
    return many || ranges_[Index(step.operands()->Get(0))].count > 0 ? range : RowRange{};
  }

  // Does row i of the result follow from row i of the operands alone? `first` = shape of operand 0.
  static bool KeepsRows(const OpInfo& op, const Attrs& attrs, const Shape& first) {
    switch (op.kind) {
      case OpKind::kConv2d:
      case OpKind::kDepthwiseConv2d:
      case OpKind::kBatchNormFrozen:
      case OpKind::kMaxPool:
      case OpKind::kAvgPool:
      case OpKind::kReshape:
      case OpKind::kSlice:
        return true;  // that the rows stay is seen from the result's shape
      case OpKind::kMatmul:
        return first.rank() == 2 && !std::get<MatmulAttrs>(attrs).trans_a;
      case OpKind::kSoftmax:
      case OpKind::kLogSoftmax:
        return first.rank() >= 2;
      case OpKind::kReduceSum:
      case OpKind::kReduceMean:
      case OpKind::kReduceMax:
        return (std::get<ReduceAttrs>(attrs).axes & 1) == 0;
      case OpKind::kTranspose:
        return std::get<TransposeAttrs>(attrs).perm[0] == 0;
      case OpKind::kPad:
        return std::get<PadAttrs>(attrs).before[0] == 0 && std::get<PadAttrs>(attrs).after[0] == 0;
      case OpKind::kConcat:
        return std::get<AxisAttrs>(attrs).axis != 0;
      default:
        return op.Has(kElementwise) && op.kind != OpKind::kDropout;
    }
  }

  const fb::Plan& plan_;
  const fb::Schedule& schedule_;
  uint32_t inputs_ = 0;  // a bit for each of the schedule's that it may begin with
  int64_t batch_ = 0;
  std::vector<RowRange> ranges_;  // by tensor
  std::vector<int> depths_;       // by step: its longest way from an input, 0 outside the prefix
  std::vector<int> depth_of_;     // by tensor: of the step that makes it
  std::vector<int> read_at_;  // by tensor: depth of its last reader, kNever where one is outside
  std::vector<int64_t> macs_within_;  // by depth
  int deepest_ = 0;
  int64_t total_macs_ = 0;
};

// Feeds a description of the prefix into a checksum. Tensors count from 0 in order of appearance,
// so that what stands behind the prefix does not show.
class Describer {
 public:
  Describer(const PlanFile& file, const fb::Schedule& schedule)
      : file_(file), schedule_(schedule) {}

  void Add(int64_t value) { stream_.Add(&value, sizeof(value)); }
  void Add(std::string_view text) {
    Add(static_cast<int64_t>(text.size()));
    stream_.Add(text.data(), text.size());
  }
  void Add(const TensorType& type) {
    Add(static_cast<int64_t>(type.dtype));
    Add(int64_t{type.shape.rank()});
    for (const int64_t d : type.shape.dims()) Add(d);
  }
  int64_t NumberOf(int32_t tensor) {
    return numbers_.emplace(tensor, static_cast<int64_t>(numbers_.size())).first->second;
  }

  Status AddStep(const fb::Step& step) {
    Add(TextOf(step.op()));
    Add(TextOf(step.kernel()));
    for (const uint8_t byte : AttrBytesOf(step)) Add(int64_t{byte});
    for (const auto* tensors : {step.operands(), step.results()}) {
      for (const int32_t t : *tensors) PT_RETURN_IF_ERROR(AddTensor(t));
    }
    return OkStatus();
  }

  uint64_t Value() const { return stream_.Value(); }

 private:
  Status AddTensor(int32_t index) {
    const fb::Tensor& tensor = *schedule_.tensors()->Get(static_cast<uint32_t>(index));
    Add(TypeOf(tensor));
    if (!IsConstant(file_.plan(), tensor)) {
      Add(NumberOf(index));
      return OkStatus();
    }
    int64_t offset = tensor.offset();
    if (tensor.storage() == fb::Storage::Param) {
      offset = file_.plan().params()->Get(static_cast<uint32_t>(offset))->segment_offset();
    }
    const int64_t bytes = BytesOf(TypeOf(tensor));
    Result<Pages> pages = Pages::Allocate(bytes);
    if (!pages.ok()) return pages.status();
    const std::span<uint8_t> data(pages->data(), static_cast<size_t>(bytes));
    PT_RETURN_IF_ERROR(file_.ReadSegment(offset, data));
    stream_.Add(data.data(), data.size());
    return OkStatus();
  }

  const PlanFile& file_;
  const fb::Schedule& schedule_;
  ChecksumStream stream_;
  std::unordered_map<int32_t, int64_t> numbers_;
};

}  // namespace

FrozenPrefix FrozenPrefix::Find(const fb::Plan& plan, const fb::Schedule& schedule) {
  FrozenPrefix prefix;
  if (RoleOf(schedule) == fb::ScheduleRole::Predict) return prefix;
  Finder finder(plan, schedule);
  if (!finder.Walk()) return prefix;
  const std::vector<int64_t>& macs = finder.macs_within();
  const double enough = (1 - kCheapShare) * static_cast<double>(macs.back());
  const auto first = std::partition_point(macs.begin(), macs.end(), [&](int64_t within) {
    return within == 0 || static_cast<double>(within) < enough;
  });
  PrefixCuts cuts(finder.Values(), finder.batch(), finder.deepest());
  uint32_t replaced = 0;
  const int first_cut = finder.FirstCut(&replaced);
  const int best = cuts.Shortest(std::max(static_cast<int>(first - macs.begin()), first_cut),
                                 finder.deepest(), &prefix.parts_, &prefix.row_bytes_);
  if (best == 0) return prefix;
  prefix.read_ = finder.inputs();
  prefix.replaced_ = replaced;
  prefix.rows_ = finder.batch();
  prefix.macs_ = macs[static_cast<size_t>(best)];
  prefix.rest_macs_ = finder.total_macs() - prefix.macs_;
  prefix.part_of_.assign(schedule.steps()->size(), -1);
  for (uint32_t s = 0; s < schedule.steps()->size(); ++s) {
    prefix.covered_.push_back(finder.Covers(s, best));
  }
  for (size_t i = 0; i < prefix.parts_.size(); ++i) {
    prefix.part_of_[prefix.parts_[i].step] = static_cast<int32_t>(i);
  }
  return prefix;
}

Result<uint64_t> FrozenPrefix::Identity(const PlanFile& file, const fb::Schedule& schedule) const {
  Describer describer(file, schedule);
  describer.Add(int64_t{file.plan().isa()});
  describer.Add(int64_t{file.plan().slots()});
  describer.Add(row_bytes_);
  for (uint32_t s = 0; s < covered_.size(); ++s) {
    if (covered_[s]) PT_RETURN_IF_ERROR(describer.AddStep(*schedule.steps()->Get(s)));
  }
  for (const Part& part : parts_) {
    for (const int64_t figure :
         {describer.NumberOf(part.tensor), part.first_row, part.rows, part.offset, part.bytes}) {
      describer.Add(figure);
    }
  }
  return describer.Value();
}

}  // namespace pocketune
