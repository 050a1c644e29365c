#include "apps/cli/train_command.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "apps/cli/figures.h"
#include "apps/cli/memory_bound.h"
#include "apps/cli/named_weights.h"
#include "apps/cli/plan_in_child.h"
#include "apps/cli/progress.h"
#include "apps/cli/skipped.h"
#include "apps/cli/stop_signal.h"
#include "apps/cli/target.h"
#include "apps/cli/train_dry_run.h"
#include "apps/cli/train_result.h"
#include "apps/train/model_choice.h"
#include "apps/train/run_folder.h"
#include "apps/train/run_trainer.h"
#include "apps/train/state_json.h"
#include "apps/train/training_choice.h"
#include "engine/base/clock.h"
#include "graph/ir/graph.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

// Runs are gone on with from other folders than the one where they were begun.
RunSpec WithWholePaths(RunSpec spec) {
  for (std::string* path : {&spec.data.path, &spec.weights}) {
    std::error_code error;
    if (!path->empty()) *path = fs::absolute(*path, error).lexically_normal().string();
  }
  return spec;
}

// A run from the flags to the last line.
class TrainCommand {
 public:
  TrainCommand(RunSpec spec, TrainFlags train, CommonFlags flags)
      : spec_(std::move(spec)), train_(std::move(train)), flags_(std::move(flags)) {}

  absl::Status Run() {
    PT_TRY(ApplyCommonFlags(&flags_));
    const absl::StatusOr<double> time_budget = ParseTimeBudget(train_.time_budget);
    if (!time_budget.ok()) return time_budget.status();
    time_budget_ = *time_budget;
    PT_TRY(CheckClassifies(spec_.model.name, "train"));
    PT_TRY(TakeNamedWeights(&spec_, flags_, IsGiven("--normalize")));
    if (train_.dry_run) {
      PT_TRY(OpenData());
      PT_TRY(ChooseStart());
      PT_TRY(CompilePlanOf());
      return DryRun(spec_, flags_, plan_.figures, plan_file_->path(), *dataset_);
    }
    PT_TRY(RunFolder::CheckPlace(train_.out));
    // A run that is there is locked first; a new one makes its folder once it is sure to start.
    if (RunFolder::HoldsRun(train_.out)) PT_TRY(OpenFolder());
    if (resuming_) {
      PT_TRY(ReadRun());
    } else {
      PT_TRY(CheckStart());
      PT_TRY(OpenData());
      PT_TRY(ChooseStart());
      PT_TRY(CompilePlanOf());
      PT_TRY(OpenFolder());
      PT_TRY(resuming_ ? ReadRun() : WriteRun());  // somebody may have been faster
    }
    PT_TRY(OpenSession());
    SayWhatIsOdd();
    return TrainAndReport();
  }

 private:
  absl::Status OpenFolder() {
    absl::StatusOr<std::unique_ptr<RunFolder>> folder = RunFolder::OpenToTrain(train_.out);
    if (!folder.ok()) return folder.status();
    folder_ = *std::move(folder);
    if (!folder_->has_plan()) return absl::OkStatus();
    if (!train_.resume) {
      return Fail(ExitCode::kUsage, train_.out +
                                        ": there is a run in this folder; continue it with "
                                        "--resume, or take another --out");
    }
    resuming_ = true;
    return absl::OkStatus();
  }

  // A model where nobody named one, and for a model weights that are published, where nobody said
  // which to begin with.
  absl::Status ChooseStart() {
    if (spec_.model.name.empty() && !spec_.weights.empty()) PT_TRY(TakeModelOfWeights());
    const PictureFacts facts = spec_.model.name.empty() ? FactsOf(*dataset_) : PictureFacts();
    for (const std::string& line : ChooseModel(facts, &spec_)) Say(flags_, line);
    if (!spec_.weights.empty() || spec_.from_scratch) return absl::OkStatus();
    spec_.weights = PublishedWeightsFor(spec_.model);
    if (spec_.weights.empty()) return absl::OkStatus();
    Say(flags_, absl::StrCat("weights     ", spec_.weights,
                             ": published for this model (--weights FILE or --from-scratch)"));
    return TakeNamedWeights(&spec_, flags_, IsGiven("--normalize"));
  }

  absl::Status TakeModelOfWeights() {
    PT_TRY_ASSIGN(const ModelSpec of_file, ModelOfWeights(spec_.weights));
    spec_.model.name = of_file.name;
    if (!IsGiven("--width")) spec_.model.width = of_file.width;
    if (!IsGiven("--resolution")) spec_.model.resolution = of_file.resolution;
    if (!IsGiven("--input-channels")) spec_.model.input_channels = of_file.input_channels;
    Say(flags_, absl::StrCat("model       ", of_file.name, ": what the weights are of (--model)"));
    return absl::OkStatus();
  }

  // --resume where there is nothing to resume starts anew, if it is told what with.
  absl::Status CheckStart() {
    if (!train_.resume) return absl::OkStatus();
    if (spec_.data.path.empty()) {
      return Fail(ExitCode::kUsage, train_.out +
                                        ": nothing was saved yet, and starting anew takes "
                                        "--data");
    }
    Say(flags_, train_.out + ": nothing was saved yet, starting anew");
    return absl::OkStatus();
  }

  // The spec of the run that is continued, changed by what may change.
  absl::Status ReadRun() {
    absl::StatusOr<Json> json = folder_->ReadSpec();
    if (!json.ok()) return json.status();
    absl::StatusOr<RunSpec> before = RunSpecFromJson(*json);
    if (!before.ok()) return As(ExitCode::kCheckpoint, before.status());
    before->data.path = FindFromRun(before->data.path, train_.out);
    before->weights = FindFromRun(before->weights, train_.out);
    *before = WithWholePaths(*std::move(before));
    const absl::StatusOr<RunSpec> now =
        SpecOnResume(*before, json->value("asked", Json()), WithWholePaths(spec_), train_.given);
    if (!now.ok()) return now.status();
    spec_before_ = *std::move(before);
    spec_ = *now;
    figures_json_ = json->value("figures", Json());
    if (!figures_json_.is_object()) {
      return Fail(ExitCode::kCheckpoint, train_.out + "/spec.json: it has no figures");
    }
    if (spec_.data.path == spec_before_.data.path) {
      PT_TRY(CheckDataIsThere(spec_.data.path, train_.out));
    }
    const std::string path = folder_->plan_path();
    const Result<PlanSummary> plan = Session::Summarize(path.c_str());
    std::string anew;
    if (!plan.ok()) {
      const bool is_plan = Session::PlanIdentity(path.c_str()).ok();
      if (!is_plan || !IsOfOtherVersion(plan.status())) {
        return As(ExitCode::kModel, path, plan.status());
      }
      anew = plan.status().message();
    }
    // The plan knows the classes that the run learns, and their order; so do its checkpoints.
    PT_TRY(OpenData(plan.ok() ? ClassNamesOf(plan.value().metadata) : folder_->ReadClassNames()));
    PT_TRY(CheckData(*json));
    if (plan.ok()) anew = WhyAnew(plan.value());
    return anew.empty() ? Divide(plan.value()) : CompileAnew(anew);
  }

  // Whole, but not for this build.
  static bool IsOfOtherVersion(const Status& status) {
    return status.code() == StatusCode::kUnimplemented ||
           status.code() == StatusCode::kInvalidArgument;
  }

  bool IsGiven(const char* name) const {
    const auto is = [name](const GivenFlag& flag) { return flag.name == name; };
    return std::any_of(train_.given.begin(), train_.given.end(), is);
  }

  // Why the run's plan cannot go on; empty where it can. By what the plan says of itself: spec.json
  // may be ahead of it where a process was killed.
  std::string WhyAnew(const PlanSummary& plan) {
    slots_ = plan.memory.slots;
    const Json metadata = Json::parse(plan.metadata, nullptr, /*allow_exceptions=*/false);
    const absl::StatusOr<RunSpec> of_plan =
        RunSpecFromJson(metadata.is_object() ? metadata.value("run", Json()) : Json());
    std::vector<std::string> why;
    if (of_plan.ok() && NeedsOtherPlan(*of_plan, spec_)) {
      why = ChangedFlags(PlanFieldsOf(*of_plan), PlanFieldsOf(spec_));
    }
    if (IsGiven("--threads") && flags_.threads != slots_) {
      why.push_back(absl::StrCat("--threads ", flags_.threads, " (was ", slots_, ")"));
    }
    return absl::StrJoin(why, ", ");
  }

  // What NeedsOtherPlan looks at, and nothing else.
  static RunSpec PlanFieldsOf(const RunSpec& spec) {
    RunSpec fields;
    fields.model.batch = spec.model.batch;
    fields.train.scheme = spec.train.scheme;
    fields.memory_bytes = spec.memory_bytes;
    return fields;
  }

  // From where the run stands. The spec goes first: with it alone there, the next --resume
  // compiles.
  absl::Status CompileAnew(const std::string& why) {
    compiled_anew_ = true;
    Say(flags_, "compiling   the plan anew: " + why);
    absl::StatusOr<Json> json = folder_->ReadSpec();
    if (!json.ok()) return json.status();
    if (!(*json)["asked"].is_object()) (*json)["asked"] = Json::object();
    (*json)["asked"].update(ToJson(train_.given));
    if (spec_.train.scheme != spec_before_.train.scheme) {
      ChooseAnew([&](const char* flag) { return (*json)["asked"].contains(flag); }, &spec_);
    }
    CommonFlags flags = flags_;
    if (!IsGiven("--threads") && slots_ > 0) flags.threads = slots_;
    absl::StatusOr<PlanOfChild> plan = CompileRunInChild(spec_, flags, dataset_.get(), bound_,
                                                         folder_->path(), plan_file_->path());
    if (!plan.ok()) return plan.status();
    TakePlan(*std::move(plan));
    if (!json->contains("first_batch")) (*json)["first_batch"] = spec_before_.model.batch;
    json->merge_patch(ToJson(WithWholePaths(spec_)));
    (*json)["figures"] = figures_json_;
    (*json)["memory_map"] = Json::parse(plan_.memory_map, nullptr, false);
    PT_TRY(folder_->WriteSpec(*json));
    return folder_->TakePlan(plan_file_->path());
  }

  // Other pictures would come up at other steps, and validation would see what was learned from.
  absl::Status CheckData(const Json& json) const {
    const Json fingerprint = json.value("data_fingerprint", Json());
    if (fingerprint.is_null() || fingerprint == Fingerprint()) return absl::OkStatus();
    return Fail(ExitCode::kData, absl::StrCat(spec_.data.path, ": the pictures are not those that ",
                                              train_.out, " began with (their names, classes, ",
                                              "splits or sizes differ): put them back, or begin ",
                                              "anew in another --out"));
  }

  std::string Fingerprint() const { return FingerprintOf(*dataset_); }

  absl::Status OpenData(const std::vector<std::string>& known_classes = {}) {
    bound_ = FindBound(spec_.memory_bytes, flags_);
    if (bound_.bytes > 0) KeepHeapSmall();
    absl::StatusOr<std::unique_ptr<data::Dataset>> dataset =
        OpenRunData(&spec_, flags_, known_classes);
    if (!dataset.ok()) return dataset.status();
    dataset_ = *std::move(dataset);
    return absl::OkStatus();
  }

  // In a child process: the compiler's memory goes before training takes its own.
  absl::Status CompilePlanOf() {
    absl::StatusOr<PlanOfChild> plan =
        CompileInChild(spec_, flags_, dataset_.get(), bound_, plan_file_->path());
    if (!plan.ok()) return plan.status();
    TakePlan(*std::move(plan));
    return absl::OkStatus();
  }

  void TakePlan(PlanOfChild plan) {
    plan_ = std::move(plan);
    spec_.model = plan_.model;
    spec_.epochs = plan_.epochs;
    spec_.lr = plan_.lr;
    spec_.warmup_steps = plan_.warmup_steps;
    spec_.train.clip_norm = plan_.clip_norm;
    for (const std::string& line : plan_.weights_lines) Say(flags_, "weights     " + line);
    if (!plan_.choice.empty()) Say(flags_, "training    " + plan_.choice);
    for (const std::string& line : FigureLines(plan_.figures)) Say(flags_, line);
    figures_json_ = ToJson(plan_.figures);
    figures_json_["compiler_peak_bytes"] = plan_.compiler_peak_bytes;
    division_ = plan_.division;
  }

  absl::Status WriteRun() {
    Json json = ToJson(WithWholePaths(spec_));
    json["asked"] = ToJson(train_.given);
    json["figures"] = figures_json_;
    json["data_fingerprint"] = Fingerprint();
    json["memory_map"] = Json::parse(plan_.memory_map, nullptr, false);
    PT_TRY(folder_->WriteSpec(json));
    PT_TRY(folder_->TakePlan(plan_file_->path()));  // last: a folder with a plan is a run
    plan_file_.reset();
    return absl::OkStatus();
  }

  // What the plan of a run that goes on leaves of this process's bound.
  absl::Status Divide(const PlanSummary& plan) {
    const absl::StatusOr<FeedDemand> demand =
        DemandOf(spec_.data, plan.data_shape, dataset_.get(), flags_, bound_);
    if (!demand.ok()) return demand.status();
    const absl::StatusOr<Division> division = DivideBound(bound_, plan.memory, *demand);
    if (!division.ok()) return division.status();
    division_ = *division;
    return absl::OkStatus();
  }

  // What the flags of --resume have changed holds from now on, also for the next --resume.
  absl::Status WriteChanges() {
    const std::vector<std::string> changed = ChangedFlags(spec_before_, spec_);
    if (changed.empty()) return absl::OkStatus();
    for (const std::string& line : changed) Say(flags_, "changed     " + line);
    absl::StatusOr<Json> json = folder_->ReadSpec();
    if (!json.ok()) return json.status();
    json->merge_patch(ToJson(WithWholePaths(spec_)));
    PT_TRY(folder_->WriteSpec(*json));
    const std::string before = ToJsonText(state_, {});
    AdaptState(spec_before_, spec_, &state_);
    if (!state_.restored || ToJsonText(state_, {}) == before) return absl::OkStatus();
    return folder_->Save(*session_, ToJsonText(state_, dataset_->class_names()));
  }

  absl::Status OpenSession() {
    absl::StatusOr<std::unique_ptr<Session>> session =
        OpenPlan(folder_->plan_path(), flags_.threads, spec_.seed);
    if (absl::IsUnimplemented(session.status()) && resuming_ && !compiled_anew_) {
      PT_TRY(CompileAnew(std::string(session.status().message())));
      session = OpenPlan(folder_->plan_path(), flags_.threads, spec_.seed);
    }
    if (!session.ok()) return session.status();
    session_ = *std::move(session);
    return resuming_ ? RestoreSession() : absl::OkStatus();
  }

  absl::Status RestoreSession() {
    std::string warning;
    RestoreReport report;
    const absl::Status restored = folder_->Restore(*session_, &state_, nullptr, &warning, &report);
    if (absl::IsNotFound(restored)) {
      Say(flags_, train_.out + ": nothing was saved yet, starting anew");
      return WriteChanges();
    }
    if (!warning.empty()) Say(flags_, "warning: " + warning);
    if (absl::IsFailedPrecondition(restored) && !compiled_anew_) {
      session_.reset();
      PT_TRY(CompileAnew("layers that do not learn have other weights in the checkpoint"));
      return OpenSession();
    }
    PT_TRY(restored);
    Say(flags_, absl::StrFormat("resuming    after step %d", state_.step));
    for (const std::string& line : AdaptSession(spec_.train.optimizer, report, session_.get())) {
      Say(flags_, line);
    }
    PT_TRY(CheckBest());
    return WriteChanges();
  }

  // Weights of an epoch in which layers learned that do not any more would fit these no longer.
  absl::Status CheckBest() {
    const std::vector<ParamInfo> params = session_->params();
    const auto learned = [](const ParamInfo& param) { return param.learned_before; };
    if (state_.best_epoch < 0 || std::none_of(params.begin(), params.end(), learned)) {
      return absl::OkStatus();
    }
    const absl::Status best = folder_->RestoreBest(*session_);
    if (best.ok()) {
      TrainState same;
      return folder_->Restore(*session_, &same, nullptr);
    }
    if (!absl::IsFailedPrecondition(best)) return absl::OkStatus();
    Say(flags_,
        absl::StrCat("note: layers that learned in epoch ", state_.best_epoch + 1,
                     ", the best so far, no longer do: the best is looked for from here on"));
    ForgetBest(&state_);
    return absl::OkStatus();
  }

  // Nothing that keeps the run from training, but from learning what its owner hopes for.
  void SayWhatIsOdd() {
    const bool has_validation = !dataset_->Indices(data::Split::kVal).empty();
    for (const std::string& line : IdleFlags(spec_, train_.given, has_validation)) {
      Say(flags_, "note: " + line);
    }
    if (LearnsOnRandomLayers()) {
      Warn(flags_,
           absl::StrCat("warning: all weights begin at random, and under --scheme ",
                        spec_.train.scheme, " most stay so: give --weights, or --scheme full"));
    }
    if (PicturesOfStatistics() != 1) return;
    Warn(flags_,
         "warning: batch norm takes its statistics of one picture at a time, from which a model "
         "learns little or nothing: give --batch-norm frozen, or a larger --batch (and "
         "--micro-batch)");
  }

  bool LearnsOnRandomLayers() const {
    if (resuming_ || spec_.train.scheme == "full") return false;
    const Json metadata = Json::parse(session_->metadata(), nullptr, /*allow_exceptions=*/false);
    return metadata.is_object() && GivenOf(metadata, spec_) == GivenWeights::kNone;
  }

  // Pictures that each of batch norm's statistics is taken of; 0 where none are taken.
  int PicturesOfStatistics() const {
    const auto is_statistic = [](const ParamInfo& param) {
      return param.trainable && param.role == static_cast<uint8_t>(ParamRole::kNormMean);
    };
    const std::vector<ParamInfo> params = session_->params();
    if (std::none_of(params.begin(), params.end(), is_statistic)) return 0;
    const int micro_batch = figures_json_.value("micro_batch", 0);
    return micro_batch > 0 ? micro_batch : spec_.model.batch;
  }

  absl::Status TrainAndReport() {
    Progress progress(flags_);
    TrainListener listener;
    listener.on_step = [&](const StepEvent& event) { progress.OnStep(event); };
    listener.on_epoch = [&](const EpochEvent& event) {
      progress.OnEpoch(event, spec_.steps > 0 ? 0 : spec_.epochs);
    };
    listener.on_note = [&](const std::string& text) { progress.Note(text); };
    TrainerOptions options;
    options.loader_threads = division_.loader_threads;
    options.queue_batches = division_.queue_batches;
    if (IsTight(bound_, division_)) options.cache_bytes = division_.cache_bytes;
    options.time_budget_seconds = time_budget_;
    options.stop_signal = &CatchStopSignals();
    options.prefix_cache.where = train_.prefix_cache;
    options.prefix_cache.memory_bytes = CacheBudget();
    RunTrainer trainer(session_.get(), dataset_.get(), spec_, folder_.get(), listener, options);
    const double begin = NowSeconds();
    absl::StatusOr<TrainEnd> end = trainer.Run(&state_);
    const double train_seconds = NowSeconds() - begin;
    const std::vector<data::SkippedSample> skipped = trainer.Skipped();
    for (const std::string& reason : ReasonsOf(skipped)) progress.Note("skipped: " + reason);
    if (!end.ok()) return end.status();
    if (*end == TrainEnd::kStopped) {
      return StoppedBySignal(absl::StrCat("stopped by a signal after step ", state_.step,
                                          "; saved, continue with --resume"));
    }
    if (*end == TrainEnd::kTimeBudget) {
      progress.Note(absl::StrCat("time budget reached after step ", state_.step,
                                 "; saved, continue with --resume"));
    }
    return ReportTraining({.spec = spec_,
                           .flags = flags_,
                           .figures = figures_json_,
                           .state = state_,
                           .trainer = trainer,
                           .dataset = *dataset_,
                           .folder = *folder_,
                           .loader_size = {division_.loader_threads, division_.queue_batches},
                           .train_seconds = train_seconds,
                           .skipped = skipped},
                          std::move(session_));
  }

  // Bytes for the prefix cache in memory: what a small device can spare.
  static int64_t CacheBudget() {
    return std::min<int64_t>(RowCacheOptions().memory_bytes,
                             int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE) / 8);
  }

  RunSpec spec_;
  RunSpec spec_before_;  // of the run that is continued, as spec.json has it
  TrainFlags train_;
  CommonFlags flags_;
  double time_budget_ = 0;
  bool resuming_ = false;
  bool compiled_anew_ = false;  // by this process
  int slots_ = 0;               // threads that the run's plan was compiled for; 0: not known
  Json figures_json_;
  MemoryBound bound_;
  Division division_;
  PlanOfChild plan_;
  std::optional<TempFile> plan_file_{".ptplan"};  // until the folder has it
  TrainState state_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<data::Dataset> dataset_;
  std::unique_ptr<Session> session_;
};

}  // namespace

absl::Status RunTraining(const RunSpec& spec, const TrainFlags& train, const CommonFlags& flags) {
  return TrainCommand(spec, train, flags).Run();
}

}  // namespace pocketune::cli
