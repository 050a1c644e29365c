// Runs a schedule in thought: which bytes of the arena hold a value that is still to be read, and
// which parameters have been overwritten, step by step.
#include <iterator>
#include <map>
#include <vector>

#include "engine/ops/batch_part.h"
#include "engine/plan/plan_view.h"
#include "engine/plan/schedule_verify.h"

namespace pocketune {
namespace {

constexpr int64_t kNever = -2;    // not yet produced, or never read
constexpr int64_t kBefore = -1;   // before the first step: inputs, parameters, constants
constexpr int32_t kScratch = -1;  // owner of a step's scratch

// Disjoint ranges of bytes, each with an owner.
class ByteRanges {
 public:
  // False, and nothing changes, where a byte of [begin, begin + bytes) is taken.
  bool Insert(int64_t begin, int64_t bytes, int32_t owner) {
    const auto next = ranges_.lower_bound(begin);
    if (next != ranges_.end() && next->first < begin + bytes) return false;
    if (next != ranges_.begin() && std::prev(next)->second.end > begin) return false;
    ranges_.emplace_hint(next, begin, Range{begin + bytes, owner});
    return true;
  }
  // Where the range at `begin` is `owner`'s, frees it.
  void Erase(int64_t begin, int32_t owner) {
    const auto found = ranges_.find(begin);
    if (found != ranges_.end() && found->second.owner == owner) ranges_.erase(found);
  }

 private:
  struct Range {
    int64_t end;
    int32_t owner;
  };
  std::map<int64_t, Range> ranges_;  // by begin
};

class LivenessVerifier {
 public:
  LivenessVerifier(const fb::Plan& plan, const fb::Schedule& schedule)
      : schedule_(schedule),
        tensors_(*schedule.tensors()),
        steps_(*schedule.steps()),
        produced_(tensors_.size(), kNever),
        last_read_(tensors_.size(), kNever),
        owner_(tensors_.size()),
        updated_(plan.params()->size(), kBefore),
        loop_of_(steps_.size(), nullptr) {
    for (uint32_t i = 0; i < LoopCount(schedule); ++i) {
      const fb::Loop* loop = schedule.loops()->Get(i);
      for (int32_t s = loop->first(); s <= loop->last(); ++s) loop_of_[size_t(s)] = loop;
    }
    for (uint32_t i = 0; i < tensors_.size(); ++i) {
      owner_[i] = int32_t(i);
      if (!InArena(int32_t(i))) produced_[i] = kBefore;
    }
  }

  Status Verify() {
    PT_RETURN_IF_ERROR(CheckOrder());
    return CheckBytes();
  }

 private:
  const fb::Tensor& At(int32_t tensor) const { return *tensors_[uint32_t(tensor)]; }
  bool InArena(int32_t tensor) const { return At(tensor).storage() == fb::Storage::Arena; }
  int64_t Bytes(int32_t tensor) const { return RoomOf(At(tensor)); }
  bool IsWhole(int32_t tensor) const { return At(tensor).parts() == 1; }
  bool SameBytes(int32_t a, int32_t b) const {
    return InArena(a) && InArena(b) && At(a).offset() == At(b).offset() && Bytes(a) == Bytes(b);
  }
  bool Overlap(int32_t a, int32_t b) const {
    return InArena(a) && InArena(b) && At(a).offset() < At(b).offset() + Bytes(b) &&
           At(b).offset() < At(a).offset() + Bytes(a);
  }

  // Is result 0 of the step operand 0 under another shape?
  bool IsView(const fb::Step& step) const {
    return FindOp(TextOf(step.op()))->Has(kView) &&
           SameBytes(step.operands()->Get(0), step.results()->Get(0));
  }
  // Does result 0 of the step overwrite operand 0?
  bool IsInPlace(const fb::Step& step) const {
    if (!FindOp(TextOf(step.op()))->Has(kInplace)) return false;
    const int32_t operand = step.operands()->Get(0), result = step.results()->Get(0);
    return InArena(operand) && InArena(result) && At(operand).offset() == At(result).offset();
  }

  // First round: each value is produced once, before it is read; nobody reads a parameter's old
  // value after its update. Finds the last reader of each value.
  Status CheckOrder() {
    for (const fb::Port* port : *schedule_.inputs()) {
      if (produced_[size_t(port->tensor())] != kNever) {
        return Unsound("plan: two inputs are the same tensor", port->tensor());
      }
      produced_[size_t(port->tensor())] = kBefore;
    }
    for (uint32_t s = 0; s < steps_.size(); ++s) {
      for (const int32_t operand : *steps_[s]->operands()) {
        PT_RETURN_IF_ERROR(Read(operand, s));
      }
      if (loop_of_[s] != nullptr) PT_RETURN_IF_ERROR(CheckParts(*steps_[s], s));
      PT_RETURN_IF_ERROR(Produce(*steps_[s], s));
    }
    for (const fb::Port* port : *schedule_.outputs()) {
      PT_RETURN_IF_ERROR(Read(port->tensor(), steps_.size()));
    }
    return OkStatus();
  }

  const fb::Loop* LoopOf(int64_t s) const {
    return s < 0 || s >= int64_t(loop_of_.size()) ? nullptr : loop_of_[size_t(s)];
  }

  PartForm FormOf(const fb::Step& step, int parts) const {
    std::vector<TensorType> operands, results;
    for (const int32_t operand : *step.operands()) operands.push_back(TypeOf(At(operand)));
    for (const int32_t result : *step.results()) results.push_back(TypeOf(At(result)));
    const OpKind op = FindOp(TextOf(step.op()))->kind;
    return *PartFormOf(op, operands, results, AttrsFromBytes(op, AttrBytesOf(step)).value(), parts);
  }

  // What a loop makes is read in it part by part, and not at all where it is a sum over the parts.
  Status CheckParts(const fb::Step& step, int64_t s) const {
    const fb::Loop* loop = LoopOf(s);
    const PartForm form = FormOf(step, loop->parts());
    for (uint32_t i = 0; i < step.operands()->size(); ++i) {
      const int64_t made = produced_[size_t(step.operands()->Get(i))];
      if (LoopOf(made) != loop) continue;
      if (!form.cuts(i) || FormOf(*steps_[uint32_t(made)], loop->parts()).sums) {
        return Unsound("plan: a step reads what its loop has not finished", s);
      }
    }
    for (const int32_t result : *step.results()) {
      if (IsWhole(result) || (!form.sums && At(result).parts() == loop->parts())) continue;
      return Unsound("plan: a step has no room for its result", s);
    }
    if (IsWhole(step.results()->Get(0)) && IsInPlace(step) && !IsView(step)) {
      return Unsound("plan: a step overwrites what later parts of the batch need", s);
    }
    return OkStatus();
  }

  Status Read(int32_t tensor, int64_t s) {
    if (produced_[size_t(tensor)] == kNever) {
      return Unsound("plan: a step reads a value that nothing has produced", s);
    }
    if (At(tensor).storage() == fb::Storage::Param &&
        updated_[size_t(At(tensor).offset())] > produced_[size_t(tensor)]) {
      return Unsound("plan: a step reads a parameter that an update has overwritten", s);
    }
    const fb::Loop* loop = LoopOf(s);
    if (!IsWhole(tensor) && (loop == nullptr || LoopOf(produced_[size_t(tensor)]) != loop)) {
      return Unsound("plan: a step reads a part of the batch from outside its loop", s);
    }
    last_read_[size_t(owner_[size_t(tensor)])] = NeededUntil(tensor, s);
    return OkStatus();
  }

  // Whole values are needed by each part.
  int64_t NeededUntil(int32_t tensor, int64_t s) const {
    const fb::Loop* loop = LoopOf(s);
    return loop == nullptr || !IsWhole(tensor) ? s : loop->last();
  }

  Status Produce(const fb::Step& step, int64_t s) {
    for (const int32_t result : *step.results()) {
      if (At(result).storage() == fb::Storage::Param) {
        updated_[size_t(At(result).offset())] = s;
      } else if (produced_[size_t(result)] != kNever && InArena(result)) {
        return Unsound("plan: a value is produced twice", s);
      }
      if (!IsWhole(result) && LoopOf(s) == nullptr) {
        return Unsound("plan: a step outside of loops makes a part of the batch", s);
      }
      produced_[size_t(result)] = s;
      if (LoopOf(s) != nullptr) last_read_[size_t(result)] = NeededUntil(result, s);
    }
    if (IsView(step)) {
      owner_[size_t(step.results()->Get(0))] = owner_[size_t(step.operands()->Get(0))];
    }
    return OkStatus();
  }

  // Second round: no step writes bytes that hold a value still to be read.
  Status CheckBytes() {
    for (const fb::Port* port : *schedule_.inputs()) {
      if (!Occupy(port->tensor())) {
        return Unsound("plan: two inputs share bytes", port->tensor());
      }
    }
    for (const fb::Port* port : *schedule_.inputs()) {
      Retire(port->tensor(), kBefore);
    }
    for (uint32_t s = 0; s < steps_.size(); ++s) {
      const fb::Loop* loop = LoopOf(s);
      if (loop != nullptr && s == uint32_t(loop->first())) PT_RETURN_IF_ERROR(Claim(*loop));
      PT_RETURN_IF_ERROR(CheckWrites(*steps_[s], s));
      if (loop != nullptr && s == uint32_t(loop->last())) Leave(*loop);
    }
    return OkStatus();
  }

  // The whole results of a loop have their bytes from its begin on: no part may overwrite
  // another's.
  Status Claim(const fb::Loop& loop) {
    for (int32_t s = loop.first(); s <= loop.last(); ++s) {
      const fb::Step& step = *steps_[uint32_t(s)];
      if (IsView(step)) continue;
      for (const int32_t result : *step.results()) {
        if (InArena(result) && IsWhole(result) && !Occupy(result)) {
          return Unsound("plan: a loop overwrites a value that is still to be read", s);
        }
      }
    }
    return OkStatus();
  }

  void Leave(const fb::Loop& loop) {
    for (int32_t s = loop.first(); s <= loop.last(); ++s) {
      for (const int32_t operand : *steps_[uint32_t(s)]->operands()) Retire(operand, loop.last());
      for (const int32_t result : *steps_[uint32_t(s)]->results()) Retire(result, loop.last());
    }
  }

  Status CheckWrites(const fb::Step& step, int64_t s) {
    const bool view = IsView(step);
    if (!view && IsInPlace(step)) PT_RETURN_IF_ERROR(Overwrite(step, s));
    for (uint32_t i = view ? 1 : 0; i < step.results()->size(); ++i) {
      const int32_t result = step.results()->Get(i);
      const bool claimed = LoopOf(s) != nullptr && IsWhole(result);
      if (InArena(result) && !claimed && !Occupy(result)) {
        return Unsound("plan: a step overwrites a value that is still to be read", s);
      }
    }
    if (step.scratch_bytes() > 0) {
      if (!live_.Insert(step.scratch_offset(), step.scratch_bytes(), kScratch)) {
        return Unsound("plan: a step's scratch overwrites a value that is still to be read", s);
      }
      live_.Erase(step.scratch_offset(), kScratch);
    }
    for (const int32_t operand : *step.operands()) Retire(operand, s);
    for (const int32_t result : *step.results()) Retire(result, s);
    return OkStatus();
  }

  // The attributes have been found to be sound.
  bool MayOverwrite(const fb::Step& step) const {
    const OpKind op = FindOp(TextOf(step.op()))->kind;
    return MayLieOver(op, TypeOf(At(step.operands()->Get(0))), TypeOf(At(step.results()->Get(0))),
                      AttrsFromBytes(op, AttrBytesOf(step)).value());
  }

  // Result 0 takes operand 0's bytes: nobody may want the old value later, and another operand may
  // share them only element for element.
  Status Overwrite(const fb::Step& step, int64_t s) {
    const int32_t old = step.operands()->Get(0);
    const TensorType type = TypeOf(At(old));
    if (!MayOverwrite(step)) {
      return Unsound("plan: a step overwrites an operand of another shape", s);
    }
    if (last_read_[size_t(owner_[size_t(old)])] != s) {
      return Unsound("plan: a step overwrites a value that is still to be read", s);
    }
    for (const int32_t operand : *step.operands()) {
      if (Overlap(operand, old) && !(SameBytes(operand, old) && TypeOf(At(operand)) == type)) {
        return Unsound("plan: a step overwrites an operand while it reads it", s);
      }
    }
    live_.Erase(At(old).offset(), owner_[size_t(old)]);
    return OkStatus();
  }

  bool Occupy(int32_t tensor) { return live_.Insert(At(tensor).offset(), Bytes(tensor), tensor); }

  // Frees the value's bytes where nobody reads them after step `s`.
  void Retire(int32_t tensor, int64_t s) {
    const int32_t owner = owner_[size_t(tensor)];
    if (InArena(tensor) && last_read_[size_t(owner)] <= s) live_.Erase(At(tensor).offset(), owner);
  }

  const fb::Schedule& schedule_;
  const flatbuffers::Vector<flatbuffers::Offset<fb::Tensor>>& tensors_;
  const flatbuffers::Vector<flatbuffers::Offset<fb::Step>>& steps_;
  std::vector<int64_t> produced_;         // per tensor: the step
  std::vector<int64_t> last_read_;        // per owner: the last step that reads it or a view of it
  std::vector<int32_t> owner_;            // per tensor: itself, or what it is a view of
  std::vector<int64_t> updated_;          // per parameter: the last step that overwrote it
  std::vector<const fb::Loop*> loop_of_;  // per step
  ByteRanges live_;
};

}  // namespace

Status VerifyLiveness(const fb::Plan& plan, const fb::Schedule& schedule) {
  return LivenessVerifier(plan, schedule).Verify();
}

}  // namespace pocketune
