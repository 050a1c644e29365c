#include "pocketune/session.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "backends/api/isa_hold.h"
#include "engine/base/pages.h"
#include "engine/checkpoint/checkpoint_file.h"
#include "engine/plan/model_identity.h"
#include "engine/plan/plan_view.h"
#include "engine/runtime/program.h"
#include "engine/runtime/saved_params.h"

namespace pocketune {
namespace {

constexpr int kMaxThreads = 1024;

Status Precondition(const char* message) {
  return Status(StatusCode::kFailedPrecondition, message);
}
Status InvalidArgument(const char* message) {
  return Status(StatusCode::kInvalidArgument, message);
}

// By the exponent's bits, without a branch in the loop: a pass over memory and no more.
bool AllFinite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t found = 0;
  for (const float value : values) {
    found |= static_cast<uint32_t>((std::bit_cast<uint32_t>(value) & kExponent) == kExponent);
  }
  return found == 0;
}

Status StatusOfFaults(uint32_t faults) {
  const int32_t detail = static_cast<int32_t>(faults);
  if ((faults & kFaultKernel) != 0) {
    return Status(StatusCode::kInternal, "step: a kernel could not run", detail);
  }
  if ((faults & kFaultLabel) != 0) {
    return Status(StatusCode::kOutOfRange, "step: a label is not one of the classes", detail);
  }
  if ((faults & kFaultLoss) != 0) {
    return Status(StatusCode::kDataLoss, "step: the loss is not finite", detail);
  }
  if (faults != 0) return Status(StatusCode::kDataLoss, "step: a gradient is not finite", detail);
  return OkStatus();
}

// `port`: an input, or nullptr for one that there is not.
Status BindPort(Program::Port* port, const void* data, int64_t bytes) {
  if (port == nullptr) return InvalidArgument("bind: there is no input of that name");
  if (data != nullptr && port->view.bytes() != bytes) {
    return InvalidArgument("bind: the input has another size");
  }
  port->bound = data;
  return OkStatus();
}

SessionMemory MemoryOf(const fb::Plan& plan) {
  SessionMemory memory = {plan.arena_bytes(),  plan.param_bytes(),          plan.optimizer_bytes(),
                          plan.packed_bytes(), plan.predicted_peak_bytes(), plan.slots()};
  memory.checkpoint_bytes = memory.param_bytes + memory.optimizer_bytes;
  for (const fb::Param* param : *plan.params()) {
    if (param->trainable() || param->base_offset() < 0) continue;
    memory.checkpoint_bytes += AlignUp(BytesOf(*param));
  }
  return memory;
}

std::vector<PortInfo> InfosOf(const std::vector<Program::Port>& ports) {
  std::vector<PortInfo> infos;
  for (const Program::Port& port : ports) {
    infos.push_back({port.name, port.view.shape, port.view.dtype, port.role, port.in_prefix});
  }
  return infos;
}

}  // namespace

// In an order in which each member outlives those that point to it.
struct Session::Impl {
  Impl(const SessionOptions& session_options, std::shared_ptr<ThreadPool> thread_pool,
       PlanFile plan_file)
      : options(session_options),
        file(std::move(plan_file)),
        pool(std::move(thread_pool)),
        states(file) {}

  const fb::Plan& plan() const { return file.plan(); }
  Status Build();
  // nullptr where there is none.
  Program* Find(std::string_view schedule) const;
  // What a caller means by that name: "eval" stands in for a "predict" that the plan lacks.
  Program* Named(std::string_view schedule) const;
  Result<int> FindParam(std::string_view name, size_t elements) const;
  Status Run(Program& program, Program::Extent extent);
  Result<Program*> FindPrefix(std::string_view schedule) const;
  Status RunWithLoss(Program* program, float* loss);

  const IsaHold isa;
  const SessionOptions options;
  const PlanFile file;
  const std::shared_ptr<ThreadPool> pool;
  KernelStates states;
  StepPage page;
  Pages arena;
  std::unique_ptr<PlanParams> params;
  std::vector<std::unique_ptr<Program>> programs;
  Program* train = nullptr;
  Program* eval = nullptr;

  const Program* last = nullptr;  // what the arena holds the results of
  Program::Extent last_extent = Program::Extent::kAll;
  bool profiling = false;
  std::vector<StepSpan> times;  // of the steps of `train`
};

Status Session::Impl::Build() {
  page.seed = options.seed;
  // Kernels may read, not use, bytes after the last tensor.
  Result<Pages> pages = Pages::Allocate(plan().arena_bytes() + kReadAheadBytes, Pages::Size::kHuge);
  if (!pages.ok()) return pages.status();
  arena = std::move(pages.value());
  Result<PlanParams> joined = PlanParams::Create(
      file, options.store != nullptr ? options.store : std::make_shared<ParameterStore>());
  if (!joined.ok()) return joined.status();
  params = std::make_unique<PlanParams>(std::move(joined.value()));

  const Machine machine = {.file = &file,
                           .params = params.get(),
                           .arena = arena.data(),
                           .kernels = options.kernels,
                           .states = &states,
                           .pool = pool.get(),
                           .page = &page};
  const ThreadPool::Turn turn(*pool, plan().slots());  // kernels may use it to prepare
  for (const fb::Schedule* schedule : *plan().schedules()) {
    Result<std::unique_ptr<Program>> program = Program::Build(machine, *schedule);
    if (!program.ok()) return program.status();
    programs.push_back(std::move(program.value()));
  }
  for (size_t i = programs.size(); i-- > 0;) {  // the first of each role stays
    const fb::ScheduleRole role = programs[i]->role();
    if (role == fb::ScheduleRole::Train) train = programs[i].get();
    if (role == fb::ScheduleRole::Eval) eval = programs[i].get();
  }
  if (train != nullptr) times.resize(train->steps());
  return OkStatus();
}

Program* Session::Impl::Find(std::string_view schedule) const {
  for (const auto& program : programs) {
    if (program->name() == schedule) return program.get();
  }
  return nullptr;
}

Program* Session::Impl::Named(std::string_view schedule) const {
  Program* program = Find(schedule);
  return program == nullptr && schedule == "predict" ? eval : program;
}

Result<int> Session::Impl::FindParam(std::string_view name, size_t elements) const {
  const int index = params->Find(name);
  if (index < 0) return InvalidArgument("parameter: there is none of that name");
  if (ShapeOf(*params->param(index).dims()).elems() != static_cast<int64_t>(elements)) {
    return InvalidArgument("parameter: it has another number of elements");
  }
  return index;
}

Status Session::Impl::Run(Program& program, Program::Extent extent) {
  const auto takes_part = [&](const Program::Port& input) {
    if (input.in_prefix && program.starts_from_rows()) return false;
    return extent == Program::Extent::kAll || input.predicted;
  };
  for (const Program::Port& input : program.inputs()) {
    if (takes_part(input) && input.bound == nullptr) {
      return Precondition("step: an input is not bound");
    }
  }
  if (options.poison) Poison(arena.data(), arena.bytes());
  for (const Program::Port& input : program.inputs()) {
    if (takes_part(input)) {
      std::memcpy(input.view.data, input.bound, static_cast<size_t>(input.view.bytes()));
    }
  }
  page.faults.store(0, std::memory_order_relaxed);
  const bool timed = profiling && &program == train;
  {
    const ThreadPool::Turn turn(*pool, plan().slots());
    program.Run(extent, options.poison, timed ? std::span(times) : std::span<StepSpan>());
  }
  last = &program;
  last_extent = extent;
  return StatusOfFaults(page.faults.load(std::memory_order_relaxed));
}

Result<Program*> Session::Impl::FindPrefix(std::string_view schedule) const {
  Program* program = Find(schedule);
  if (program != nullptr && program->prefix().row_bytes() > 0) return program;
  return Precondition("prefix: the schedule has none");
}

Status Session::Impl::RunWithLoss(Program* program, float* loss) {
  if (program == nullptr) return Precondition("step: the plan has no such schedule");
  const Program::Port* output = program->FindLoss();
  if (output == nullptr || output->view.shape.elems() != 1) {
    return Precondition("step: the schedule has no loss");
  }
  const Status status = Run(*program, Program::Extent::kAll);
  if (status.code() != StatusCode::kFailedPrecondition) *loss = *output->view.as<float>();
  return status;
}

Result<std::unique_ptr<Session>> Session::Open(const char* plan_path,
                                               const SessionOptions& options) {
  return Make(PlanFile::Open(plan_path), options);
}

Result<std::unique_ptr<Session>> Session::Open(std::span<const uint8_t> plan,
                                               const SessionOptions& options) {
  return Make(PlanFile::Open(plan), options);
}

Result<std::unique_ptr<Session>> Session::Make(Result<PlanFile> plan,
                                               const SessionOptions& options) {
  if (options.threads < 1 || options.threads > kMaxThreads) {
    return InvalidArgument("session: the number of threads is out of range");
  }
  if (!plan.ok()) return plan.status();
  std::shared_ptr<ThreadPool> pool = options.pool;
  if (pool == nullptr) pool = std::make_shared<ThreadPool>(options.threads);
  auto impl = std::make_unique<Impl>(options, std::move(pool), std::move(plan.value()));
  PT_RETURN_IF_ERROR(impl->Build());
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Result<PlanSummary> Session::Summarize(const char* plan_path) {
  const Result<PlanFile> file = PlanFile::Open(plan_path);
  if (!file.ok()) return file.status();
  const fb::Plan& plan = file.value().plan();
  PlanSummary summary = {MemoryOf(plan),
                         Shape(),
                         std::string(TextOf(plan.metadata())),
                         file.value().identity(),
                         ModelIdentityOf(plan),
                         plan.replaces()};
  for (const fb::Schedule* schedule : *plan.schedules()) {
    if (RoleOf(*schedule) == fb::ScheduleRole::Predict) continue;
    for (const fb::Port* port : *schedule->inputs()) {
      if (InputRoleOf(*port) != PortRole::kData) continue;
      summary.data_shape =
          ShapeOf(*schedule->tensors()->Get(static_cast<uint32_t>(port->tensor()))->dims());
      return summary;
    }
  }
  return summary;
}

Result<uint64_t> Session::PlanIdentity(const char* plan_path) {
  return PlanFile::ReadIdentity(plan_path);
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

std::vector<PortInfo> Session::inputs(std::string_view schedule) const {
  const Program* program = impl_->Named(schedule);
  return program == nullptr ? std::vector<PortInfo>() : InfosOf(program->inputs());
}

std::vector<PortInfo> Session::outputs(std::string_view schedule) const {
  const Program* program = impl_->Named(schedule);
  return program == nullptr ? std::vector<PortInfo>() : InfosOf(program->outputs());
}

Status Session::Bind(std::string_view input, const void* data, int64_t bytes) {
  bool found = false;
  for (const auto& program : impl_->programs) {
    if (program->role() == fb::ScheduleRole::Predict) continue;
    Program::Port* port = program->FindInput(input);
    if (port == nullptr) continue;
    // The plan's verifier has found that these schedules agree on the size.
    PT_RETURN_IF_ERROR(BindPort(port, data, bytes));
    found = true;
  }
  return found ? OkStatus() : BindPort(nullptr, data, bytes);
}

Status Session::Bind(std::string_view schedule, std::string_view input, const void* data,
                     int64_t bytes) {
  Program* program = impl_->Named(schedule);
  if (program == nullptr) return InvalidArgument("bind: there is no schedule of that name");
  return BindPort(program->FindInput(input), data, bytes);
}

Status Session::TrainStep(double learning_rate, float* loss) {
  if (!std::isfinite(learning_rate))
    return InvalidArgument("step: the learning rate is not finite");
  impl_->page.step = step() + 1;
  impl_->page.learning_rate = learning_rate;
  PT_RETURN_IF_ERROR(impl_->RunWithLoss(impl_->train, loss));
  ++impl_->params->store().steps;
  return OkStatus();
}

Status Session::EvalStep(float* loss) { return impl_->RunWithLoss(impl_->eval, loss); }

Status Session::Predict(std::string_view schedule) {
  Program* program = impl_->Named(schedule);
  if (program == nullptr) return Precondition("step: the plan has no such schedule");
  if (program->role() == fb::ScheduleRole::Train) {
    return InvalidArgument("step: a schedule that trains does not predict");
  }
  return impl_->Run(*program, Program::Extent::kPrediction);
}

Status Session::Read(std::string_view schedule, std::string_view output,
                     std::span<float> out) const {
  const Program* program = impl_->Named(schedule);
  const Program::Port* port = program == nullptr ? nullptr : program->FindOutput(output);
  if (port == nullptr) return InvalidArgument("read: there is no output of that name");
  if (port->view.shape.elems() != static_cast<int64_t>(out.size())) {
    return InvalidArgument("read: the output has another number of elements");
  }
  if (impl_->last != program ||
      (impl_->last_extent == Program::Extent::kPrediction && !port->predicted)) {
    return Precondition("read: the last step did not compute the output");
  }
  std::memcpy(out.data(), port->view.data, out.size_bytes());
  return OkStatus();
}

PrefixInfo Session::prefix(std::string_view schedule) const {
  const Result<Program*> program = impl_->FindPrefix(schedule);
  if (!program.ok()) return {};
  const FrozenPrefix& prefix = program.value()->prefix();
  return {prefix.row_bytes(), prefix.macs() / prefix.rows(), prefix.rest_macs() / prefix.rows()};
}

Result<uint64_t> Session::PrefixIdentity(std::string_view schedule) const {
  const Result<Program*> program = impl_->FindPrefix(schedule);
  if (!program.ok()) return program.status();
  return program.value()->prefix().Identity(impl_->file, program.value()->schedule());
}

Status Session::ComputePrefix(std::string_view schedule, std::span<uint8_t> rows) {
  const Result<Program*> found = impl_->FindPrefix(schedule);
  if (!found.ok()) return found.status();
  Program& program = *found.value();
  if (static_cast<int64_t>(rows.size()) != program.prefix().rows() * program.prefix().row_bytes()) {
    return InvalidArgument("prefix: the rows have another size");
  }
  if (impl_->options.poison) Poison(impl_->arena.data(), impl_->arena.bytes());
  for (const Program::Port& input : program.inputs()) {
    if (!input.feeds_prefix) continue;
    if (input.bound == nullptr) return Precondition("prefix: an input is not bound");
    std::memcpy(input.view.data, input.bound, static_cast<size_t>(input.view.bytes()));
  }
  impl_->page.faults.store(0, std::memory_order_relaxed);
  {
    const ThreadPool::Turn turn(*impl_->pool, impl_->plan().slots());
    program.RunPrefix(impl_->options.poison, rows.data());
  }
  impl_->last = nullptr;
  return StatusOfFaults(impl_->page.faults.load(std::memory_order_relaxed));
}

Status Session::BindPrefix(std::string_view schedule, std::span<const uint8_t* const> rows) {
  const Result<Program*> program = impl_->FindPrefix(schedule);
  if (!program.ok()) return program.status();
  if (!rows.empty() && static_cast<int64_t>(rows.size()) != program.value()->prefix().rows()) {
    return InvalidArgument("prefix: want a row for each sample of the batch");
  }
  program.value()->StartFrom(rows);
  return OkStatus();
}

int Session::threads() const { return impl_->pool->threads(); }

uint64_t Session::step() const { return impl_->params->store().steps; }
void Session::set_step(uint64_t step) { impl_->params->store().steps = step; }

std::vector<ParamInfo> Session::params() const {
  std::vector<ParamInfo> infos;
  for (int i = 0; i < impl_->params->count(); ++i) {
    const fb::Param& param = impl_->params->param(i);
    infos.push_back({TextOf(param.name()), ShapeOf(*param.dims()), param.role(), param.trainable(),
                     param.state(), impl_->params->learned_before(i), LayoutOf(param)});
  }
  return infos;
}

Status Session::ReadParam(std::string_view name, std::span<float> out) const {
  const Result<int> index = impl_->FindParam(name, out.size());
  return index.ok() ? impl_->params->Read(index.value(), out) : index.status();
}

Status Session::ReadBaseParam(std::string_view name, std::span<float> out) const {
  const Result<int> index = impl_->FindParam(name, out.size());
  return index.ok() ? impl_->params->ReadBase(index.value(), out) : index.status();
}

Status Session::WriteParam(std::string_view name, std::span<const float> values) {
  const Result<int> index = impl_->FindParam(name, values.size());
  if (!index.ok()) return index.status();
  if (!impl_->params->param(index.value()).trainable()) {
    return Precondition("parameter: it does not learn under this plan");
  }
  std::memcpy(impl_->params->data(index.value()), values.data(), values.size_bytes());
  return OkStatus();
}

std::string_view Session::FindNotFinite() const {
  for (int i = 0; i < impl_->params->count(); ++i) {
    const fb::Param& param = impl_->params->param(i);
    if (param.trainable() && !AllFinite(impl_->params->values(i))) return TextOf(param.name());
  }
  return {};
}

Status Session::Reset() {
  PlanParams& params = *impl_->params;
  for (int i = 0; i < params.count(); ++i) {
    if (params.param(i).trainable()) PT_RETURN_IF_ERROR(params.ReadStart(i, params.values(i)));
  }
  params.store().steps = 0;
  return OkStatus();
}

Status Session::Save(const char* path, std::string_view user, uint64_t generation) const {
  return SaveParams(*impl_->params, user, generation, path);
}

Status Session::Restore(const char* path, std::string* user, RestoreReport* report) {
  const Result<CheckpointFile> file = CheckpointFile::Open(path);
  if (!file.ok()) return file.status();
  std::string found = file.value().info().user;  // all that takes memory comes before the values
  PT_RETURN_IF_ERROR(RestoreParams(file.value(), *impl_->params, report));
  if (user != nullptr) *user = std::move(found);
  return OkStatus();
}

std::shared_ptr<ParameterStore> Session::store() const {
  impl_->params->store().Share(impl_->params->file());
  return impl_->params->shared_store();
}

SessionMemory Session::memory() const { return MemoryOf(impl_->plan()); }

std::string_view Session::metadata() const { return TextOf(impl_->plan().metadata()); }

void Session::set_profiling(bool on) { impl_->profiling = on; }

std::vector<Session::StepTime> Session::profile() const {
  std::vector<StepTime> steps;
  for (size_t i = 0; i < impl_->times.size(); ++i) {
    const fb::Step& step = impl_->train->step(i);
    const StepSpan& time = impl_->times[i];
    steps.push_back({TextOf(step.kernel()), TextOf(step.loc()),
                     time.begin_ns - impl_->times[0].begin_ns, time.end_ns - time.begin_ns});
  }
  return steps;
}

}  // namespace pocketune
