#include "engine/runtime/program.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

namespace pocketune {
namespace {

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
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
  for (const fb::Step* step : *schedule.steps()) {
    const Status status = program->AddStep(machine, *step);
    if (!status.ok()) {
      return Status(status.code(), status.message(), static_cast<int32_t>(program->steps_.size()));
    }
  }
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
    inputs_.push_back({TextOf(port->name()), ViewOf(machine, port->tensor())});
    inputs_.back().in_prefix = prefix_.row_bytes() > 0 && inputs_.back().name == "image";
  }
  for (const fb::Port* port : *schedule_.outputs()) {
    outputs_.push_back({TextOf(port->name()), ViewOf(machine, port->tensor())});
    const TensorView& view = outputs_.back().view;
    const fb::Tensor& tensor = *schedule_.tensors()->Get(static_cast<uint32_t>(port->tensor()));
    if (IsConstant(machine.file->plan(), tensor)) {
      PT_RETURN_IF_ERROR(machine.file->Load(view.data, view.bytes()));
    }
  }
  return OkStatus();
}

Status Program::AddStep(const Machine& machine, const fb::Step& step) {
  const OpInfo& op = *FindOp(TextOf(step.op()));
  const KernelInfo* kernel = Find(machine.kernels, TextOf(step.kernel()));
  if (kernel == nullptr || kernel->op != op.kind) {
    return Status(StatusCode::kUnimplemented, "plan: a step's kernel is not in this build");
  }
  std::span<const uint8_t> bytes;
  if (step.attrs() != nullptr) bytes = {step.attrs()->data(), step.attrs()->size()};
  attrs_.push_back(AttrsFromBytes(op.kind, bytes).value());

  const fb::Plan& plan = machine.file->plan();
  std::vector<TensorType> types;
  uint32_t constant_operands = 0;
  const size_t first_view = views_.size();
  const TensorView* views = views_.data() + first_view;
  for (const auto* indices : {step.operands(), step.results()}) {
    for (const int32_t index : *indices) {
      const fb::Tensor& tensor = *schedule_.tensors()->Get(static_cast<uint32_t>(index));
      if (types.size() < step.operands()->size() && IsConstant(plan, tensor)) {
        constant_operands |= 1u << types.size();
      }
      types.push_back(TypeOf(tensor));
      views_.push_back(ViewOf(machine, index));
    }
  }
  const size_t operands = step.operands()->size(), results = step.results()->size();
  const KernelQuery query = {.op = op.kind,
                             .operands = std::span(types).first(operands),
                             .results = std::span(types).last(results),
                             .attrs = &attrs_.back(),
                             .constant_operands = constant_operands,
                             .isa = static_cast<Isa>(plan.isa()),
                             .slots = plan.slots()};
  PT_RETURN_IF_ERROR(CheckServes(*kernel, query, step.scratch_bytes()));
  KernelArgs args = {.operands = {views, operands},
                     .results = {views + operands, results},
                     .attrs = AttrsBytes(attrs_.back()).data(),
                     .page = machine.page,
                     .pool = machine.pool};
  if (step.scratch_bytes() > 0) args.scratch = machine.arena + step.scratch_offset();
  if (kernel->prepare != nullptr) {
    const Result<void*> state = machine.states->Get(*kernel, query, args);
    if (!state.ok()) return state.status();
    args.state = state.value();
  }
  for (size_t i = 0; i < operands; ++i) {
    TensorView& view = views_[first_view + i];
    if ((constant_operands >> i & 1) == 0) continue;
    if (kernel->prepare != nullptr) {
      view.data = nullptr;
    } else {
      PT_RETURN_IF_ERROR(machine.file->Load(view.data, view.bytes()));
    }
  }
  steps_.push_back({kernel->run, args, step.scratch_bytes(), false});
  return OkStatus();
}

// Goes from the outputs back through the steps.
void Program::MarkPrediction() {
  std::vector<bool> needed(schedule_.tensors()->size());
  for (size_t i = 0; i < outputs_.size(); ++i) {
    outputs_[i].predicted = outputs_[i].name != "loss";
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

const Program::Port* Program::FindOutput(std::string_view name) const {
  for (const Port& port : outputs_) {
    if (port.name == name) return &port;
  }
  return nullptr;
}

void Program::Run(Extent extent, bool poison, std::span<StepSpan> times) const {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (extent == Extent::kPrediction && !step.predicted) continue;
    if (!times.empty()) times[i].begin_ns = Now();
    if (starts_from_rows() && prefix_.Covers(i)) {
      CopyRowsIn(i);
    } else {
      RunStep(step, poison);
    }
    if (!times.empty()) times[i].end_ns = Now();
  }
}

void Program::RunStep(const Step& step, bool poison) const {
  if (poison && step.args.scratch != nullptr) Poison(step.args.scratch, step.scratch_bytes);
  step.run(step.args);
}

void Program::CopyRowsIn(size_t step) const {
  const FrozenPrefix::Part* part = prefix_.PartOf(step);
  if (part == nullptr) return;
  uint8_t* to = static_cast<uint8_t*>(steps_[step].args.results[0].data);
  for (int64_t r = 0; r < part->rows; ++r) {
    std::memcpy(to + r * part->bytes,
                rows_[static_cast<size_t>(part->first_row + r)] + part->offset,
                static_cast<size_t>(part->bytes));
  }
}

void Program::RunPrefix(bool poison, uint8_t* rows) const {
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (!prefix_.Covers(i)) continue;
    RunStep(steps_[i], poison);
    const FrozenPrefix::Part* part = prefix_.PartOf(i);
    if (part == nullptr) continue;
    const uint8_t* from = static_cast<const uint8_t*>(steps_[i].args.results[0].data);
    for (int64_t r = 0; r < part->rows; ++r) {
      std::memcpy(rows + (part->first_row + r) * prefix_.row_bytes() + part->offset,
                  from + r * part->bytes, static_cast<size_t>(part->bytes));
    }
  }
}

}  // namespace pocketune
