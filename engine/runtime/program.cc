#include "engine/runtime/program.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/base/clock.h"
#include "engine/base/math.h"

namespace pocketune {
namespace {

// One more run of a step: the span keeps its begin and grows by the time that it took.
void AddTo(StepSpan& span, int64_t begin_ns, int64_t end_ns) {
  if (span.begin_ns == 0) span = {begin_ns, begin_ns};
  span.end_ns += end_ns - begin_ns;
}

const KernelInfo* Find(std::span<const KernelTable> tables, std::string_view name) {
  for (const KernelTable table : tables) {
    if (const KernelInfo* kernel = FindKernel(table, name)) return kernel;
  }
  return nullptr;
}

// Can the kernel do what the plan says, with the scratch that the plan gives it?
Status CheckServes(const KernelInfo& kernel, const KernelQuery& query, int64_t scratch_bytes) {
  if (kernel.supports != nullptr && !kernel.supports(query)) {
    return Status(StatusCode::kUnimplemented, "plan: a step's kernel does not serve it");
  }
  if (kernel.scratch_bytes != nullptr && kernel.scratch_bytes(query) > scratch_bytes) {
    return Status(StatusCode::kInvalidArgument, "plan: a step has less scratch than it needs");
  }
  return OkStatus();
}

}  // namespace

void Poison(void* data, int64_t bytes) {
  std::fill_n(static_cast<float*>(data), bytes / int64_t{sizeof(float)},
              std::numeric_limits<float>::quiet_NaN());
}

Result<std::unique_ptr<Program>> Program::Build(const Machine& machine,
                                                const fb::Schedule& schedule) {
  std::unique_ptr<Program> program(new Program(machine, schedule));
  size_t views = 0;
  for (const fb::Step* step : *schedule.steps()) {
    views += step->operands()->size() + step->results()->size();
  }
  program->views_.reserve(views);
  program->rows_.reserve(static_cast<size_t>(program->prefix_.rows()));
  program->attrs_.reserve(schedule.steps()->size());
  program->steps_.reserve(schedule.steps()->size());
  PT_RETURN_IF_ERROR(program->AddPorts(machine));
  std::vector<int> parts(schedule.steps()->size(), 1);
  for (uint32_t i = 0; i < LoopCount(schedule); ++i) {
    const fb::Loop& loop = *schedule.loops()->Get(i);
    std::fill(parts.begin() + loop.first(), parts.begin() + loop.last() + 1, loop.parts());
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    const Status status = program->AddStep(machine, program->step(i), parts[i]);
    if (!status.ok()) return Status(status.code(), status.message(), static_cast<int32_t>(i));
  }
  program->AddGroups();
  program->MarkPrediction();
  return program;
}

TensorView Program::ViewOf(const Machine& machine, int32_t index) const {
  const fb::Tensor& tensor = *schedule_.tensors()->Get(static_cast<uint32_t>(index));
  const TensorType type = TypeOf(tensor);
  switch (tensor.storage()) {
    case fb::Storage::Arena:
      return {machine.arena + tensor.offset(), type.shape, type.dtype};
    case fb::Storage::Param:
      return {machine.params->data(static_cast<int>(tensor.offset())), type.shape, type.dtype};
    case fb::Storage::Const:
      return {const_cast<uint8_t*>(machine.file->segment() + tensor.offset()), type.shape,
              type.dtype};
    case fb::Storage::None:
      break;
  }
  return {nullptr, type.shape, type.dtype};
}

Status Program::AddPorts(const Machine& machine) {
  for (const fb::Port* port : *schedule_.inputs()) {
    inputs_.push_back({TextOf(port->name()), ViewOf(machine, port->tensor()), InputRoleOf(*port)});
    const auto number = static_cast<uint32_t>(inputs_.size()) - 1;
    inputs_.back().feeds_prefix = prefix_.Reads(number);
    inputs_.back().in_prefix = prefix_.Replaces(number);
  }
  for (const fb::Port* port : *schedule_.outputs()) {
    outputs_.push_back(
        {TextOf(port->name()), ViewOf(machine, port->tensor()), OutputRoleOf(*port)});
    const TensorView& view = outputs_.back().view;
    const fb::Tensor& tensor = *schedule_.tensors()->Get(static_cast<uint32_t>(port->tensor()));
    if (IsConstant(machine.file->plan(), tensor)) {
      PT_RETURN_IF_ERROR(machine.file->Load(view.data, view.bytes()));
    }
  }
  return OkStatus();
}

Status Program::AddStep(const Machine& machine, const fb::Step& step, int parts) {
  const OpInfo& op = *FindOp(TextOf(step.op()));
  const KernelInfo* kernel = Find(machine.kernels, TextOf(step.kernel()));
  if (kernel == nullptr || kernel->op != op.kind) {
    return Status(StatusCode::kUnimplemented, "plan: a step's kernel is not in this build");
  }
  const Attrs attrs = AttrsFromBytes(op.kind, AttrBytesOf(step)).value();
  attrs_.push_back(parts > 1 ? PartOf(attrs, parts) : attrs);

  const fb::Plan& plan = machine.file->plan();
  std::vector<TensorType> types;
  uint32_t constant_operands = 0;
  const size_t operands = step.operands()->size(), results = step.results()->size();
  const size_t first_view = views_.size();
  for (const auto* indices : {step.operands(), step.results()}) {
    for (const int32_t index : *indices) {
      const fb::Tensor& tensor = *schedule_.tensors()->Get(static_cast<uint32_t>(index));
      views_.push_back(ViewOf(machine, index));
      if (types.size() < operands && IsConstant(plan, tensor)) {
        constant_operands |= 1u << types.size();
        if (kernel->prepare == nullptr) {
          PT_RETURN_IF_ERROR(machine.file->Load(views_.back().data, views_.back().bytes()));
        }
      }
      types.push_back(TypeOf(tensor));
    }
  }
  const std::span<TensorView> views = std::span(views_).subspan(first_view);
  steps_.push_back({.run = kernel->run, .scratch_bytes = step.scratch_bytes()});
  if (parts > 1) CutStep(machine, step, attrs, parts, views, types);
  const KernelQuery query = {.op = op.kind,
                             .operands = std::span(types).first(operands),
                             .results = std::span(types).last(results),
                             .attrs = &attrs_.back(),
                             .constant_operands = constant_operands,
                             .isa = static_cast<Isa>(plan.isa()),
                             .slots = plan.slots()};
  PT_RETURN_IF_ERROR(CheckServes(*kernel, query, steps_.back().scratch_bytes));
  KernelArgs args = {.operands = views.first(operands),
                     .results = views.last(results),
                     .attrs = AttrsBytes(attrs_.back()).data(),
                     .page = machine.page,
                     .pool = machine.pool};
  if (step.scratch_bytes() > 0) args.scratch = machine.arena + step.scratch_offset();
  if (kernel->prepare != nullptr) {
    const Result<void*> state = machine.states->Get(*kernel, query, args);
    if (!state.ok()) return state.status();
    args.state = state.value();
    for (size_t i = 0; i < operands; ++i) {
      if ((constant_operands >> i & 1) != 0) views[i].data = nullptr;
    }
  }
  steps_.back().args = args;
  return OkStatus();
}

// Makes the step's views and types those of the first part of the batch.
void Program::CutStep(const Machine& machine, const fb::Step& step, const Attrs& attrs, int parts,
                      std::span<TensorView> views, std::vector<TensorType>& types) {
  const uint32_t operands = step.operands()->size();
  const PartForm form =
      *PartFormOf(FindOp(TextOf(step.op()))->kind, std::span(types).first(operands),
                  std::span(types).subspan(operands), attrs, parts);
  for (uint32_t i = 0; i < views.size(); ++i) {
    const bool cut = i < operands ? form.cuts(i) : !form.sums;
    if (!cut) continue;
    types[i] = PartOf(types[i], parts);
    views[i].shape = types[i].shape;
    const int32_t index =
        i < operands ? step.operands()->Get(i) : step.results()->Get(i - operands);
    if (schedule_.tensors()->Get(static_cast<uint32_t>(index))->parts() > 1) continue;
    steps_.back().cuts.push_back(
        {&views[i], static_cast<uint8_t*>(views[i].data), views[i].bytes()});
  }
  if (!form.sums) return;
  Step& added = steps_.back();
  for (TensorView& view : views.subspan(operands)) {
    added.scratch_bytes -= AlignUp(view.bytes());
    if (view.data == nullptr) continue;
    added.sums.push_back({&view, machine.arena + step.scratch_offset() + added.scratch_bytes});
  }
}

// Goes from the outputs back through the steps.
void Program::MarkPrediction() {
  std::vector<bool> needed(schedule_.tensors()->size());
  for (size_t i = 0; i < outputs_.size(); ++i) {
    outputs_[i].predicted = outputs_[i].role != PortRole::kLoss;
    const fb::Port& port = *schedule_.outputs()->Get(static_cast<uint32_t>(i));
    if (outputs_[i].predicted) needed[static_cast<size_t>(port.tensor())] = true;
  }
  for (size_t s = steps_.size(); s-- > 0;) {
    const auto is_needed = [&](int32_t tensor) { return needed[static_cast<size_t>(tensor)]; };
    const auto& results = *step(s).results();
    steps_[s].predicted = std::any_of(results.begin(), results.end(), is_needed);
    if (!steps_[s].predicted) continue;
    for (const int32_t operand : *step(s).operands()) needed[static_cast<size_t>(operand)] = true;
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const fb::Port& port = *schedule_.inputs()->Get(static_cast<uint32_t>(i));
    inputs_[i].predicted = needed[static_cast<size_t>(port.tensor())];
  }
}

Program::Port* Program::FindInput(std::string_view name) {
  for (Port& port : inputs_) {
    if (port.name == name) return &port;
  }
  return nullptr;
}

const Program::Port* Program::FindOutput(std::string_view name) const {
  for (const Port& port : outputs_) {
    if (port.name == name) return &port;
  }
  return nullptr;
}

const Program::Port* Program::FindLoss() const {
  for (const Port& port : outputs_) {
    if (port.role == PortRole::kLoss) return &port;
  }
  return nullptr;
}

void Program::AddGroups() {
  size_t next = 0;
  const auto single_until = [&](size_t end) {
    for (; next < end; ++next) groups_.push_back({next, next, 1});
  };
  for (uint32_t i = 0; i < LoopCount(schedule_); ++i) {
    const fb::Loop& loop = *schedule_.loops()->Get(i);
    single_until(static_cast<size_t>(loop.first()));
    groups_.push_back({next, static_cast<size_t>(loop.last()), loop.parts()});
    next = static_cast<size_t>(loop.last()) + 1;
  }
  single_until(steps_.size());
}

template <class Fn>
void Program::ForEachStep(const Fn& fn) {
  for (const Group& group : groups_) {
    for (int part = 0; part < group.parts; ++part) {
      for (size_t i = group.first; i <= group.last; ++i) {
        for (const CutView& cut : steps_[i].cuts) cut.view->data = cut.base + part * cut.bytes;
        fn(i, part, group.parts);
      }
    }
  }
}

void Program::Run(Extent extent, bool poison, std::span<StepSpan> times) {
  for (StepSpan& span : times) span = {};
  pool_.Begin(threads_.Alone(2 * static_cast<int>(extent) + (starts_from_rows() ? 1 : 0)));
  const int64_t run_begin_ns = NowNs();
  ForEachStep([&](size_t i, int part, int parts) {
    Step& step = steps_[i];
    if (extent == Extent::kPrediction && !step.predicted) return;
    const int64_t begin_ns = times.empty() ? 0 : NowNs();
    if (starts_from_rows() && prefix_.Covers(i)) {
      CopyRowsIn(i, part, parts);
    } else {
      RunStep(step, part, poison);
    }
    if (!times.empty()) AddTo(times[i], begin_ns, NowNs());
  });
  threads_.Record(NowNs() - run_begin_ns);
  if (!times.empty()) LayOutLoops(times);
}

// The steps of a loop one after the other, as if each had run for all parts at once.
void Program::LayOutLoops(std::span<StepSpan> times) const {
  for (const Group& group : groups_) {
    int64_t begin_ns = times[group.first].begin_ns;
    for (size_t i = group.first; i <= group.last; ++i) {
      const int64_t ns = times[i].end_ns - times[i].begin_ns;
      times[i] = {begin_ns, begin_ns + ns};
      begin_ns += ns;
    }
  }
}

void Program::RunStep(Step& step, int part, bool poison) {
  if (poison && step.args.scratch != nullptr) Poison(step.args.scratch, step.scratch_bytes);
  if (part == 0 || step.sums.empty()) return step.run(step.args);
  AddRun(step);
}

// Runs the step into the other places of its results and adds those to what is there.
void Program::AddRun(Step& step) {
  const auto swap = [&] {
    for (SumView& sum : step.sums) {
      uint8_t* const other = sum.part;
      sum.part = static_cast<uint8_t*>(sum.view->data);
      sum.view->data = other;
    }
  };
  swap();
  step.run(step.args);
  swap();
  for (const SumView& sum : step.sums) {
    float* const total = sum.view->as<float>();
    const float* const more = reinterpret_cast<const float*>(sum.part);
    const int64_t elems = sum.view->shape.elems();
    for (int64_t i = 0; i < elems; ++i) total[i] += more[i];
  }
}

void Program::CopyRowsIn(size_t step, int part, int parts) const {
  const FrozenPrefix::Part* range = prefix_.PartOf(step);
  if (range == nullptr) return;
  uint8_t* to = static_cast<uint8_t*>(steps_[step].args.results[0].data);
  const int64_t rows = range->rows / parts;
  const int64_t first = range->first_row + part * rows;
  for (int64_t r = 0; r < rows; ++r) {
    std::memcpy(to + r * range->bytes, rows_[static_cast<size_t>(first + r)] + range->offset,
                static_cast<size_t>(range->bytes));
  }
}

void Program::RunPrefix(bool poison, uint8_t* out) {
  pool_.Begin(false);
  ForEachStep([&](size_t i, int part, int parts) {
    if (!prefix_.Covers(i)) return;
    RunStep(steps_[i], part, poison);
    const FrozenPrefix::Part* range = prefix_.PartOf(i);
    if (range == nullptr) return;
    const uint8_t* from = static_cast<const uint8_t*>(steps_[i].args.results[0].data);
    const int64_t rows = range->rows / parts;
    const int64_t first = range->first_row + part * rows;
    for (int64_t r = 0; r < rows; ++r) {
      std::memcpy(out + (first + r) * prefix_.row_bytes() + range->offset, from + r * range->bytes,
                  static_cast<size_t>(range->bytes));
    }
  });
}

}  // namespace pocketune
