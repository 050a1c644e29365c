// Runs a compiled plan: one allocation for all activations, gradients and scratch, a loop over
// steps, nothing else. This is all that a phone needs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pocketune/status.h"
#include "pocketune/thread_pool.h"
#include "pocketune/types.h"

namespace pocketune {

struct KernelInfo;
class ParameterStore;
class PlanFile;

struct SessionOptions {
  // Threads of the pool, the caller's included; >= 1. The result's bits do not depend on it. More
  // than the plan was compiled for (SessionMemory::slots) help XNNPACK's steps alone. Fewer are
  // taken where the system starts no more: Session::threads.
  int threads = 1;
  // Threads that are shared with other sessions (thread_pool.h), in place of a pool of its own;
  // `threads` says nothing then. While one session runs a step, the others' wait for their turn.
  std::shared_ptr<ThreadPool> pool = nullptr;
  // Key of the counter-based generator that dropout draws from.
  uint64_t seed = 0;
  // Kernel tables to resolve the plan's kernels in, first match wins: {CpuKernels()} of cpu.h.
  std::vector<std::span<const KernelInfo>> kernels;
  // Values to share with another session, from its Session::store; null for values of its own. The
  // plan must be of the same model and weights and leave the same parameters variable, as plans do
  // that differ in batch, threads, memory or optimizer alone; what one session learns the other
  // sees at once, and there is one copy of it. Such sessions take turns: one thread at a time uses
  // any of them.
  std::shared_ptr<ParameterStore> store = nullptr;
  // Fills the arena with NaN before each step and each scratch before its kernel (tests).
  bool poison = false;
};

// Exact sizes in bytes.
struct SessionMemory {
  int64_t arena_bytes = 0;
  int64_t param_bytes = 0;      // trainable parameters and statistics in RAM
  int64_t optimizer_bytes = 0;  // optimizer states
  int64_t packed_bytes = 0;     // held by stateful kernels (frozen weights)
  int64_t predicted_peak_bytes = 0;
  int slots = 1;
  int64_t checkpoint_bytes = 0;  // values that a checkpoint holds: those of RAM, and of parameters
                                 // that learned before this plan
};

// A tensor that the caller binds or reads. Shapes are static.
struct PortInfo {
  std::string_view name;  // lives as long as the session
  Shape shape;
  DType dtype = DType::kF32;
  PortRole role = PortRole::kData;
  bool in_prefix = false;  // an input that rows of the frozen prefix stand in for (PrefixInfo)
};

// The first of that role; null where there is none. It points into `ports`.
inline const PortInfo* FindPort(std::span<const PortInfo> ports, PortRole role) {
  for (const PortInfo& port : ports) {
    if (port.role == role) return &port;
  }
  return nullptr;
}

// A parameter or an optimizer state.
struct ParamInfo {
  std::string_view name;  // lives as long as the session
  Shape shape;            // own layout, of any rank; what it is in PyTorch's files says `layout`
  uint8_t role = 0;       // ParamRole of the compile side
  bool trainable = false;
  bool state = false;
  bool learned_before = false;  // not trainable, but a run had learned it when this was compiled
  ParamLayout layout = ParamLayout::kRows;  // a state's is kRows, whatever its parameter's is
};

// What Restore made of a checkpoint. Names are those of ParamInfo.
struct RestoreReport {
  uint32_t version = 0;  // of the file
  int restored = 0;      // tensors taken
  // Learn here, and the file does not have them: they have the model's own values.
  std::vector<std::string> started_params;
  // Optimizer states that the file lacks, or has of another optimizer: they are zero.
  std::vector<std::string> started_states;
  // Optimizer states in the file that this plan has no use for.
  std::vector<std::string> left_out;
};

// The frozen prefix of a schedule: the steps that depend on inputs of the role kData, f32[N,..],
// and on what never learns alone, each sample's on that sample alone. What the others need of it is
// one row of bytes per sample, which stands in for those of the inputs that no other step reads
// (PortInfo::in_prefix). Batch statistics, dropout and all that learns end it.
struct PrefixInfo {
  int64_t row_bytes = 0;  // 0: there is none
  int64_t macs = 0;       // per sample, what a step that starts from rows leaves out
  int64_t rest_macs = 0;  // per sample, what it still does
};

// What a plan says of itself.
struct PlanSummary {
  SessionMemory memory;
  Shape data_shape;             // of the first input of the role kData; rank 0 where there is none
  std::string metadata;         // as Session::metadata
  uint64_t identity = 0;        // as Session::PlanIdentity
  uint64_t model_identity = 0;  // as checkpoints under it state it
  uint64_t replaces = 0;        // of the plan of a run that this one replaced; 0: none
};

// Not thread-safe: one caller at a time. A step allocates nothing.
class Session {
 public:
  // Opens and verifies the plan, allocates everything, packs frozen weights. The file may be
  // removed afterwards, but must not be changed. Errors: NOT_FOUND, UNAVAILABLE (reading failed,
  // detail = errno), DATA_LOSS (damaged), INVALID_ARGUMENT (not a plan, or an unsound one, or
  // options out of range), UNIMPLEMENTED (a kernel that this build does not have, or a newer
  // version; detail = index of the step), RESOURCE_EXHAUSTED (no memory).
  static Result<std::unique_ptr<Session>> Open(const char* plan_path,
                                               const SessionOptions& options);
  // The same of a plan file's bytes in memory, at any alignment. They are read, not copied: they
  // stay the caller's, must live as long as the session, and must not be changed.
  static Result<std::unique_ptr<Session>> Open(std::span<const uint8_t> plan,
                                               const SessionOptions& options);
  // Verifies the plan, without the memory that a session of it would take. Errors as Open, but that
  // kernels are not looked for.
  static Result<PlanSummary> Summarize(const char* plan_path);
  // A number that tells plan files apart. Reads the header alone, also of plans of versions that
  // are not read any more. Errors: NOT_FOUND, UNAVAILABLE, DATA_LOSS, INVALID_ARGUMENT (no plan).
  static Result<uint64_t> PlanIdentity(const char* plan_path);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Inputs of a schedule and its outputs, under the names that the model gave them. What each is
  // for says its role. "train" and "eval" run on the batch of N samples: models of the zoo have
  // "image" f32[N,H,W,C], "label" i32[N] (or "target"), "weight" f32[N] (1 for a sample, 0 for
  // padding), "loss" f32[] and "logits" f32[N,K]. "predict" takes one sample, "image" f32[1,H,W,C],
  // and gives "logits" f32[1,K]. Where a plan has none (it is for batches of one sample, was
  // compiled without, mixes the samples of a batch, or is of an older version), the name stands for
  // "eval", here as in what follows: size buffers by what this says, which then is N samples.
  std::vector<PortInfo> inputs(std::string_view schedule) const;
  std::vector<PortInfo> outputs(std::string_view schedule) const;

  // Binds `bytes` at `data` to the input of that name in "train" and in "eval", whose inputs have
  // the same shapes; not in "predict", which takes another number of samples. The memory stays the
  // caller's, is read by each following step, and must live that long. Null unbinds, whatever its
  // size. INVALID_ARGUMENT for an unknown name or a wrong size.
  Status Bind(std::string_view input, const void* data, int64_t bytes);
  // The same in that schedule alone, "predict" say. INVALID_ARGUMENT for an unknown schedule, too.
  Status Bind(std::string_view schedule, std::string_view input, const void* data, int64_t bytes);

  // One optimisation step on the bound batch: forward, backward, update; writes the mean loss
  // (nats) to *loss. Errors: FAILED_PRECONDITION where an input is unbound or the plan has no
  // training schedule; OUT_OF_RANGE for a label outside [0, classes); DATA_LOSS where the loss or
  // a gradient is not finite (detail = fault bits of step_page.h). After a loss that is not finite
  // no weight has changed; after a gradient that is not finite, no weight has taken it, but
  // weights updated before it in this step have changed: Restore the last checkpoint.
  Status TrainStep(double learning_rate, float* loss);

  // Forward alone with the current parameters; all inputs must be bound. Errors as TrainStep.
  Status EvalStep(float* loss);
  // Runs what the outputs other than the loss need of the schedule, with the current parameters:
  // labels and weights may be unbound. "eval": on the whole batch; "predict": on one sample, in a
  // fraction of the time, whose outputs are the same but for rounding. FAILED_PRECONDITION where an
  // input that they need is unbound or there is no such schedule; INVALID_ARGUMENT for one that
  // trains.
  Status Predict(std::string_view schedule = "eval");
  // Copies an output of the last step to `out`, sized exactly. FAILED_PRECONDITION where the last
  // step was not one of `schedule`, or was a Predict and did not compute it.
  Status Read(std::string_view schedule, std::string_view output, std::span<float> out) const;

  PrefixInfo prefix(std::string_view schedule) const;
  // Equal where the same samples give the same rows on the same machine: a checksum over the
  // prefix's steps and weights. Errors of reading the plan; FAILED_PRECONDITION without a prefix.
  Result<uint64_t> PrefixIdentity(std::string_view schedule) const;
  // Runs the prefix on the bound inputs and writes its rows, batch * row_bytes bytes. Nothing
  // learns and no output can be read afterwards. FAILED_PRECONDITION without a prefix or an input
  // that it reads, INVALID_ARGUMENT for a wrong size.
  Status ComputePrefix(std::string_view schedule, std::span<uint8_t> rows);
  // The following steps of the schedule take these rows, one pointer for each sample of the batch,
  // in place of the inputs of PortInfo::in_prefix, which may be unbound: their results are the same
  // bits. The rows are read by each step and must live that long; the pointers are copied. Empty:
  // from inputs again. Errors as ComputePrefix.
  Status BindPrefix(std::string_view schedule, std::span<const uint8_t* const> rows);

  // Threads of the pool, the caller's included.
  int threads() const;

  // Steps taken, counting from 1 after the first; saved in checkpoints.
  uint64_t step() const;
  void set_step(uint64_t step);

  std::vector<ParamInfo> params() const;
  // Current values, f32, in the parameter's own layout. `out` is sized exactly.
  Status ReadParam(std::string_view name, std::span<float> out) const;
  // The model's own values, before any training of any plan.
  Status ReadBaseParam(std::string_view name, std::span<float> out) const;
  // Only trainable parameters and states can be written.
  Status WriteParam(std::string_view name, std::span<const float> values);

  // Back to how the session was opened: values as compiled in, states zero, no step taken. Errors
  // of reading the plan; the values are then unspecified.
  Status Reset();

  // The name of the first tensor that holds a number which is not finite, of all that Save saves;
  // empty where there is none. One pass over them in memory; lives as long as the session.
  std::string_view FindNotFinite() const;

  // Saves what learns, what learned before this plan, states, the step and `user` (opaque bytes, up
  // to 16 MiB) to the file `path`: temporary file, fsync, rename, fsync of the directory.
  // UNAVAILABLE (detail = errno) where writing failed; the file that was there is then untouched.
  // `generation` orders the files of a CheckpointStore (checkpoint.h).
  Status Save(const char* path, std::string_view user, uint64_t generation = 0) const;
  // Restores what Save wrote under any plan of this model, whatever its batch, threads, memory,
  // update scheme or optimizer. Parameters are matched by name; one that the file lacks has never
  // learned and gets the model's own values; optimizer states that it lacks, or has of another
  // optimizer, start at zero: `report` tells (may be null, as `user` may). Nothing is changed
  // unless all of it is valid. Errors: NOT_FOUND, UNAVAILABLE (reading failed), DATA_LOSS
  // (damaged), UNIMPLEMENTED (newer version), RESOURCE_EXHAUSTED, and FAILED_PRECONDITION: of
  // another model, or of other weights that it needs, or with other values of a parameter that
  // does not learn under this plan (detail = its index): compile the plan anew with
  // Model::SetLearned. Files of version 1 belong to one plan: this one, or the one it replaced.
  Status Restore(const char* path, std::string* user, RestoreReport* report = nullptr);

  // The values, to share with a session on another plan (SessionOptions::store).
  std::shared_ptr<ParameterStore> store() const;

  SessionMemory memory() const;
  // The plan's JSON metadata. Lives as long as the session.
  std::string_view metadata() const;

  // Time of each step of the schedule "train" in the last TrainStep, once enabled, in order of
  // execution; costs two clock reads a step.
  void set_profiling(bool on);
  struct StepTime {
    std::string_view kernel;
    std::string_view loc;
    int64_t begin_ns = 0;  // since the first step began
    int64_t nanoseconds = 0;
  };
  std::vector<StepTime> profile() const;

 private:
  struct Impl;
  static Result<std::unique_ptr<Session>> Make(Result<PlanFile> plan,
                                               const SessionOptions& options);
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pocketune
