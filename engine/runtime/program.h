// A schedule made ready to run: every kernel, address and attribute resolved.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "backends/api/kernel.h"
#include "engine/ops/batch_part.h"
#include "engine/plan/plan_view.h"
#include "engine/runtime/frozen_prefix.h"
#include "engine/runtime/kernel_states.h"
#include "engine/runtime/plan_params.h"
#include "engine/runtime/thread_choice.h"

namespace pocketune {

// What the schedules of a session share. Each outlives the programs.
struct Machine {
  const PlanFile* file = nullptr;
  const PlanParams* params = nullptr;
  uint8_t* arena = nullptr;
  std::span<const KernelTable> kernels;
  KernelStates* states = nullptr;
  ThreadPool* pool = nullptr;
  StepPage* page = nullptr;
};

// When a step ran, in nanoseconds of the steady clock; a step of a loop for all parts together.
struct StepSpan {
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
};

// Not movable once built: steps point into it.
class Program {
 public:
  struct Port {
    std::string_view name;
    TensorView view;
    PortRole role;
    const void* bound = nullptr;  // inputs: the caller's memory
    bool predicted = false;       // takes part in a prediction: all outputs but losses, and inputs
                                  // that they are made from
    bool feeds_prefix = false;    // an input that the frozen prefix reads
    bool in_prefix = false;       // ... and nothing else does
  };

  // Resolves kernels by name and checks that each accepts its step and that its scratch suffices.
  // UNIMPLEMENTED or INVALID_ARGUMENT, detail = index of the step; errors of `prepare` and of
  // PlanFile::Load.
  static Result<std::unique_ptr<Program>> Build(const Machine& machine,
                                                const fb::Schedule& schedule);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::string_view name() const { return TextOf(schedule_.name()); }
  fb::ScheduleRole role() const { return RoleOf(schedule_); }
  const fb::Schedule& schedule() const { return schedule_; }
  std::vector<Port>& inputs() { return inputs_; }
  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }
  // nullptr where there is none of that name.
  Port* FindInput(std::string_view name);
  const Port* FindOutput(std::string_view name) const;
  const Port* FindLoss() const;

  enum class Extent { kAll, kPrediction };
  // Runs the steps in order, those of a loop part by part. `poison` fills each scratch with NaN
  // first; `times`, unless empty, has one place per step and gets when it ran. Allocates nothing.
  void Run(Extent extent, bool poison, std::span<StepSpan> times);

  const FrozenPrefix& prefix() const { return prefix_; }
  // Following runs leave the prefix out and take its rows from there, one pointer per row of the
  // batch; empty: they run it again. The rows are read in each run, the span itself is copied.
  void StartFrom(std::span<const uint8_t* const> rows) { rows_.assign(rows.begin(), rows.end()); }
  bool starts_from_rows() const { return !rows_.empty(); }
  // Runs the prefix alone and writes its rows, one after the other. Allocates nothing.
  void RunPrefix(bool poison, uint8_t* rows);

  size_t steps() const { return steps_.size(); }
  const fb::Step& step(size_t i) const { return *schedule_.steps()->Get(static_cast<uint32_t>(i)); }

 private:
  // A whole tensor of which a step sees one part of the batch.
  struct CutView {
    TensorView* view;
    uint8_t* base;
    int64_t bytes;  // of a part
  };
  struct SumView {
    TensorView* view;
    uint8_t* part;  // where later parts' results go before they are added
  };
  struct Step {
    void (*run)(const KernelArgs& args);
    KernelArgs args = {};
    int64_t scratch_bytes = 0;
    bool predicted = false;
    std::vector<CutView> cuts = {};  // what moves on from one part of the batch to the next
    std::vector<SumView> sums = {};  // results that are summed up over the parts
  };
  // Steps [first, last]: each a loop, or one step that runs once.
  struct Group {
    size_t first, last;
    int parts;
  };

  Program(const Machine& machine, const fb::Schedule& schedule)
      : schedule_(schedule),
        prefix_(FrozenPrefix::Find(machine.file->plan(), schedule)),
        pool_(*machine.pool),
        threads_(pool_.threads()) {}
  TensorView ViewOf(const Machine& machine, int32_t tensor) const;
  Status AddPorts(const Machine& machine);
  Status AddStep(const Machine& machine, const fb::Step& step, int parts);
  void CutStep(const Machine& machine, const fb::Step& step, const Attrs& attrs, int parts,
               std::span<TensorView> views, std::vector<TensorType>& types);
  void MarkPrediction();
  void AddGroups();
  void LayOutLoops(std::span<StepSpan> times) const;
  // Calls fn(step, part, of) in order, with the step's views on that part of the batch.
  template <class Fn>
  void ForEachStep(const Fn& fn);
  void RunStep(Step& step, int part, bool poison);
  static void AddRun(Step& step);
  // The rows of the part that stand for the step's result.
  void CopyRowsIn(size_t step, int part, int parts) const;

  const fb::Schedule& schedule_;
  const FrozenPrefix prefix_;
  ThreadPool& pool_;
  ThreadChoice threads_;
  std::vector<const uint8_t*> rows_;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<Step> steps_;
  std::vector<Group> groups_;
  std::vector<TensorView> views_;  // operands and results of all steps, one after the other
  std::vector<Attrs> attrs_;       // one per step
};

// Fills whole words of [data, data + bytes) with a quiet NaN.
void Poison(void* data, int64_t bytes);

}  // namespace pocketune
