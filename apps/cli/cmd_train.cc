#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/figures.h"
#include "apps/cli/progress.h"
#include "apps/cli/random_inputs.h"
#include "apps/cli/stop_signal.h"
#include "apps/cli/target.h"
#include "apps/report/report.h"
#include "apps/train/run_folder.h"
#include "engine/base/clock.h"
#include "engine/base/median.h"
#include "pocketune/cpu.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

struct TrainFlags {
  std::string out;
  bool resume = false;
  bool dry_run = false;
  std::string time_budget;
  std::string prefix_cache = "auto";
};

// "90", "90s", "9m", "1.5h" in seconds; 0 for "", negative where it is none of these.
double ParseDuration(const std::string& text) {
  if (text.empty()) return 0;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double factor = unit.empty() || unit == "s" ? 1
                        : unit == "m"               ? 60
                        : unit == "h"               ? 3600
                                                    : -1;
  return value > 0 && std::isfinite(value) ? value * factor : -1;
}

// A run from the flags to the last line.
class TrainCommand {
 public:
  TrainCommand(RunSpec spec, TrainFlags train, CommonFlags flags)
      : spec_(std::move(spec)), train_(std::move(train)), flags_(std::move(flags)) {}

  absl::Status Run() {
    PT_TRY(ApplyCommonFlags(&flags_));
    time_budget_ = ParseDuration(train_.time_budget);
    if (time_budget_ < 0) {
      return Fail(ExitCode::kUsage,
                  "--time-budget: want e.g. 90s, 9m or 1.5h, got " + train_.time_budget);
    }
    PT_TRY(CheckClassifies(spec_.model.name, "train"));
    if (train_.dry_run) return DryRun();
    // A run that is there is locked first; a new one makes its folder once it is sure to start.
    if (RunFolder::HoldsRun(train_.out)) PT_TRY(OpenFolder());
    if (resuming_) {
      PT_TRY(ReadRun());
    } else {
      PT_TRY(CheckStart());
      PT_TRY(OpenData());
      PT_TRY(CompilePlanOf());
      PT_TRY(OpenFolder());
      PT_TRY(resuming_ ? ReadRun() : WriteRun());  // somebody may have been faster
    }
    PT_TRY(OpenSession());
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

  // --resume where there is nothing to resume starts anew, if it is told what with.
  absl::Status CheckStart() {
    if (!train_.resume) return absl::OkStatus();
    if (spec_.model.name.empty() || spec_.data.path.empty()) {
      return Fail(ExitCode::kUsage, train_.out +
                                        ": nothing was saved yet, and starting anew takes "
                                        "--model and --data");
    }
    Say(flags_, train_.out + ": nothing was saved yet, starting anew");
    return absl::OkStatus();
  }

  // The spec of the run that is continued decides; flags that would change it are not looked at.
  absl::Status ReadRun() {
    absl::StatusOr<Json> json = folder_->ReadSpec();
    if (!json.ok()) return json.status();
    absl::StatusOr<RunSpec> spec = RunSpecFromJson(*json);
    if (!spec.ok()) return As(ExitCode::kCheckpoint, spec.status());
    spec_ = *spec;
    figures_json_ = json->value("figures", Json());
    if (!figures_json_.is_object()) {
      return Fail(ExitCode::kCheckpoint, train_.out + "/spec.json: it has no figures");
    }
    // The plan knows the classes that the run learns, and their order.
    absl::StatusOr<std::unique_ptr<Session>> session = Open(folder_->plan_path());
    if (!session.ok()) return session.status();
    session_ = *std::move(session);
    PT_TRY(OpenData(ClassNamesOf(*session_)));
    return CheckData(*json);
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

  std::string Fingerprint() const { return absl::StrFormat("%016x", dataset_->Fingerprint()); }

  absl::Status OpenData(const std::vector<std::string>& known_classes = {}) {
    absl::StatusOr<std::unique_ptr<data::Dataset>> dataset =
        OpenRunData(&spec_, flags_, known_classes);
    if (!dataset.ok()) return dataset.status();
    dataset_ = *std::move(dataset);
    return absl::OkStatus();
  }

  absl::Status CompilePlanOf() {
    WeightsReport report;
    absl::StatusOr<Model> model = LoadModel(spec_, &report);
    if (!model.ok()) return model.status();
    spec_.model = model->spec();
    PT_TRY(MakeTransform(spec_.data, model->image_shape(), true).status());
    absl::StatusOr<Plan> plan = CompileModel(*model, spec_, flags_, dataset_->class_names());
    if (!plan.ok()) return plan.status();
    plan_ = *std::move(plan);
    if (!spec_.weights.empty()) {
      for (const std::string& line : report.Lines()) Say(flags_, "weights     " + line);
    }
    for (const std::string& line : FigureLines(plan_.figures)) Say(flags_, line);
    figures_json_ = ToJson(plan_.figures);
    return absl::OkStatus();
  }

  absl::Status WriteRun() {
    Json json = ToJson(spec_);
    json["figures"] = figures_json_;
    json["data_fingerprint"] = Fingerprint();
    json["memory_map"] = Json::parse(plan_.memory_map_json, nullptr, false);
    PT_TRY(folder_->WriteSpec(json));
    return folder_->WritePlan(plan_);  // last: a folder with a plan is a run
  }

  absl::StatusOr<std::unique_ptr<Session>> Open(const std::string& path) {
    SessionOptions options;
    options.threads = flags_.threads;
    options.seed = spec_.seed;
    Result<std::unique_ptr<Session>> session = OpenCpuSession(path.c_str(), options);
    if (!session.ok()) return As(ExitCode::kModel, path, session.status());
    return std::move(session).value();
  }

  absl::Status OpenSession() {
    if (!resuming_) {
      absl::StatusOr<std::unique_ptr<Session>> session = Open(folder_->plan_path());
      if (!session.ok()) return session.status();
      session_ = *std::move(session);
      return absl::OkStatus();
    }
    std::string warning;
    const absl::Status restored = folder_->Restore(*session_, &state_, nullptr, &warning);
    if (absl::IsNotFound(restored)) {
      Say(flags_, train_.out + ": nothing was saved yet, starting anew");
      return absl::OkStatus();
    }
    if (!warning.empty()) Say(flags_, "warning: " + warning);
    PT_TRY(restored);
    Say(flags_, absl::StrFormat("resuming    after step %d", state_.step));
    return absl::OkStatus();
  }

  // Memory and time before a long run: nothing is written but a temporary plan.
  absl::Status DryRun() {
    PT_TRY(OpenData());
    PT_TRY(CompilePlanOf());
    TempFile file(".ptplan");
    Outcome<bool> written = plan_.Write(file.path());
    if (!written.ok()) return As(ExitCode::kIo, written);
    absl::StatusOr<Measurement> memory = Measure(file.path());
    if (!memory.ok()) return memory.status();
    absl::StatusOr<std::unique_ptr<Session>> session = Open(file.path());
    if (!session.ok()) return session.status();
    RandomInputs inputs(InputBytes(**session));
    std::vector<double> step_ms;
    float loss = 0;
    for (int i = 0; i < 6; ++i) {
      const double begin = NowSeconds();
      PT_TRY(As(ExitCode::kNumerics, "dry run", inputs.Step(**session, &loss)));
      if (i > 0) step_ms.push_back((NowSeconds() - begin) * 1e3);
    }
    const int64_t samples = static_cast<int64_t>(dataset_->Indices(data::Split::kTrain).size());
    const int64_t per_epoch = std::max<int64_t>(1, samples / spec_.model.batch);
    const int64_t steps = spec_.steps > 0 ? spec_.steps : spec_.epochs * per_epoch;
    const double seconds = Median(step_ms) / 1e3 * double(steps);
    Say(flags_, absl::StrFormat("dry run     %d steps of %.1f ms: about %s, without validation",
                                steps, Median(step_ms), HumanSeconds(seconds)));
    Say(flags_, absl::StrFormat("            peak memory %s, predicted %s",
                                HumanBytes(memory->measured_peak_bytes),
                                HumanBytes(plan_.figures.predicted_peak_bytes)));
    Json json = RunJson(spec_, flags_, plan_.figures, *memory, step_ms);
    json["dry_run"] = true;
    json["estimated_seconds"] = seconds;
    json["total_steps"] = steps;
    return EmitJson(flags_, json);
  }

  static int64_t InputBytes(const Session& session) {
    return RandomInputs::InputBytes(ImageShape(session, "train"), false);
  }

  absl::StatusOr<Measurement> Measure(const std::string& plan) {
    absl::StatusOr<std::unique_ptr<Session>> session = Open(plan);
    if (!session.ok()) return session.status();
    const int64_t bytes = InputBytes(**session);
    session->reset();
    return MeasurePlan(plan, flags_.threads, flags_.isa, 3, bytes);
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
    options.loader_threads = std::max(1, flags_.threads - 1);
    options.time_budget_seconds = time_budget_;
    options.stop_signal = &CatchStopSignals();
    options.prefix_cache.where = train_.prefix_cache;
    options.prefix_cache.memory_bytes = CacheBudget();
    Trainer trainer(session_.get(), dataset_.get(), spec_, folder_.get(), listener, options);
    const double begin = NowSeconds();
    absl::StatusOr<TrainEnd> end = trainer.Run(&state_);
    train_seconds_ = NowSeconds() - begin;
    const std::vector<std::string> skipped = trainer.Skipped();
    for (const std::string& reason : skipped) progress.Note("skipped: " + reason);
    if (!end.ok()) return end.status();
    if (*end == TrainEnd::kSignal) {
      return StoppedBySignal(absl::StrCat("stopped by a signal after step ", state_.step,
                                          "; saved, continue with --resume"));
    }
    if (*end == TrainEnd::kTimeBudget) {
      progress.Note(absl::StrCat("time budget reached after step ", state_.step,
                                 "; saved, continue with --resume"));
    }
    return Finish(trainer, static_cast<int64_t>(skipped.size()));
  }

  // Bytes for the prefix cache in memory: what a small device can spare, and what --memory leaves.
  int64_t CacheBudget() const {
    int64_t bytes = std::min<int64_t>(PrefixCacheOptions().memory_bytes,
                                      int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE) / 8);
    if (spec_.memory_bytes > 0) {
      bytes = std::min(bytes, spec_.memory_bytes - session_->memory().predicted_peak_bytes);
    }
    return std::max<int64_t>(bytes, 0);
  }

  absl::Status Finish(const Trainer& trainer, int64_t skipped) {
    const std::vector<double>& step_ms = trainer.step_ms();
    const bool has_test = !dataset_->Indices(data::Split::kTest).empty();
    const bool has_val = !dataset_->Indices(data::Split::kVal).empty();
    const data::Split split = has_test  ? data::Split::kTest
                              : has_val ? data::Split::kVal
                                        : data::Split::kTrain;
    absl::StatusOr<data::Transform> transform =
        MakeTransform(spec_.data, ImageShape(*session_, "train"), false);
    if (!transform.ok()) return transform.status();
    absl::StatusOr<Evaluation> eval = Evaluate(*session_, *dataset_, *transform, split,
                                               spec_.model.batch, std::max(1, flags_.threads - 1));
    if (!eval.ok()) return eval.status();
    absl::StatusOr<Measurement> memory =
        MeasurePlan(folder_->plan_path(), flags_.threads, flags_.isa, 3, InputBytes(*session_));
    if (!memory.ok()) return memory.status();

    Json json = RunJson(spec_, flags_, {}, *memory, step_ms);
    json.update(figures_json_);
    json["loss_first"] = state_.loss_first;
    json["loss_last"] = state_.loss_last;
    json["accuracy"] = eval->accuracy();
    json["top5"] = eval->top5();
    json["samples"] = eval->samples;
    json["split"] = data::NameOf(split);
    json["total_steps"] = state_.step;
    json["rollbacks"] = state_.rollbacks;
    json["skipped"] = skipped;
    json["train_seconds"] = train_seconds_;
    json["epoch_seconds"] = trainer.epoch_seconds();
    json["prefix_cache"] = CacheJson(trainer.prefix_cache());
    json["out"] = train_.out;
    json["command"] = CommandLine();
    json["version"] = POCKETUNE_VERSION;
    PT_TRY(WriteReport(json, *eval));
    Say(flags_, absl::StrFormat("%s accuracy %.1f %% of %d pictures; %.1f ms a step; peak %s",
                                data::NameOf(split), 100 * eval->accuracy(), eval->samples,
                                Median(step_ms), HumanBytes(memory->measured_peak_bytes)));
    Say(flags_, absl::StrFormat("checkpoint in %s, report %s", train_.out, folder_->report_path()));
    return EmitJson(flags_, json);
  }

  static Json CacheJson(const PrefixCacheFigures& cache) {
    return {{"where", cache.bytes == 0 ? "off"
                      : cache.in_file  ? "file"
                                       : "memory"},
            {"bytes", cache.bytes},
            {"rows_computed", cache.computed},
            {"fill_seconds", cache.fill_seconds}};
  }

  absl::Status WriteReport(const Json& figures, const Evaluation& eval) {
    ReportInput input;
    input.figures = figures;
    input.epochs = folder_->ReadLog();
    input.class_names = dataset_->class_names();
    input.confusion = eval.confusion;
    if (absl::StatusOr<Json> spec = folder_->ReadSpec(); spec.ok()) {
      input.memory_map = spec->value("memory_map", Json::object());
    }
    for (const ParamInfo& param : session_->params()) {
      if (param.state) continue;
      input.layers.push_back(
          {std::string(param.name), param.shape.elems(), param.trainable, ChangeOf(param)});
    }
    return ::pocketune::WriteReport(input, folder_->report_path());
  }

  // Relative change of a parameter by training: |now - before| / |before|, L2.
  double ChangeOf(const ParamInfo& param) const {
    if (!param.trainable) return 0;
    std::vector<float> now(param.shape.elems()), before(now.size());
    if (!session_->ReadParam(param.name, now).ok() ||
        !session_->ReadBaseParam(param.name, before).ok()) {
      return 0;
    }
    double moved = 0, size = 0;
    for (size_t i = 0; i < now.size(); ++i) {
      moved += (double(now[i]) - before[i]) * (double(now[i]) - before[i]);
      size += double(before[i]) * before[i];
    }
    return size > 0 ? std::sqrt(moved / size) : std::sqrt(moved);
  }

  RunSpec spec_;
  TrainFlags train_;
  CommonFlags flags_;
  double time_budget_ = 0;
  double train_seconds_ = 0;
  bool resuming_ = false;
  Json figures_json_;
  Plan plan_;
  TrainState state_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<data::Dataset> dataset_;
  std::unique_ptr<Session> session_;
};

void AddLoopFlags(CLI::App* command, RunSpec* spec, TrainFlags* train) {
  command->add_option("--epochs", spec->epochs, "Passes over the training pictures (default 10)")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  command->add_option("--steps", spec->steps, "Stop after so many steps, whatever the epochs")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command->add_option("--lr", spec->lr, "Learning rate (default 0.01)")->check(Within(1e-12, 1e3));
  command
      ->add_option("--lr-schedule", spec->lr_schedule, "constant, step, cosine (default) or linear")
      ->check(CLI::IsMember({"constant", "step", "cosine", "linear"}));
  command->add_option("--warmup-steps", spec->warmup_steps, "Steps of linear warm-up")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  command->add_option("--lr-step-every", spec->lr_step_every, "Epochs between steps of `step`")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  command->add_option("--lr-gamma", spec->lr_gamma, "Factor of each step of `step`")
      ->check(Within(1e-6, 1.0));
  command->add_option("--flip", spec->data.flip, "Chance of a horizontal flip")
      ->check(Within(0.0, 1.0));
  command->add_option("--crop-padding", spec->data.crop_padding, "Random crop of so many pixels")
      ->check(CLI::Range(0, 1024));
  command
      ->add_option("--patience", spec->patience,
                   "Stop after so many epochs without gain on validation")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  command->add_option("--keep", spec->keep, "Whose weights to end with: best (default) or last")
      ->check(CLI::IsMember({"best", "last"}));
  command
      ->add_option("--checkpoint-every", spec->checkpoint_every,
                   "Steps between checkpoints, beside one after each epoch")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command->add_option("--time-budget", train->time_budget, "Stop and save in time, e.g. 9m");
  command->add_option("--prefix-cache", train->prefix_cache,
                      "Keep what frozen layers make of the pictures: auto (default; in memory or "
                      "the run's folder, where it pays), off, or a file that stays");
  command->add_flag("--resume", train->resume, "Continue the run in --out");
  command->add_flag("--dry-run", train->dry_run, "Say memory and time, and train nothing");
}

}  // namespace

void AddTrain(CLI::App& app, cli::Run* run) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto train = std::make_shared<TrainFlags>();
  spec->model.batch = 32;
  CLI::App* command = app.add_subcommand("train", "Fine-tune a model on your pictures");
  command->footer(
      "Example:\n"
      "  pocketune train --model mobilenet_v2 --width 0.35 --resolution 128 \\\n"
      "      --weights w.safetensors --data photos/ --scheme blocks:4 --epochs 10 --out run1\n"
      "--data is a folder with a subfolder per class, a CSV (file,label,split) beside the\n"
      "pictures, a folder of IDX files or an NPZ file.");
  AddModelFlags(command, spec.get(), false);
  command->add_option("--data", spec->data.path, "Pictures to learn from");
  command->add_option("--out", train->out, "Folder of the run");
  AddTrainFlags(command, spec.get());
  AddLoopFlags(command, spec.get(), train.get());
  AddDataFlags(command, &spec->data);
  AddTuningFlag(command, flags.get());
  AddCommonFlags(command, flags.get());
  command->callback([=] {
    if (train->out.empty() && !train->dry_run) throw CLI::RequiredError("--out");
    if (!train->resume && spec->model.name.empty()) throw CLI::RequiredError("--model");
    if (!train->resume && spec->data.path.empty()) throw CLI::RequiredError("--data");
    spec->seed = flags->seed;
    *run = [=] { return TrainCommand(*spec, *train, *flags).Run(); };
  });
}

}  // namespace pocketune::cli
