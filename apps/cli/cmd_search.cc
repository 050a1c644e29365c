#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/progress.h"
#include "apps/cli/stop_signal.h"
#include "apps/cli/target.h"
#include "apps/search/contribution.h"
#include "apps/search/journal.h"
#include "apps/search/peak_budget.h"
#include "apps/search/picture.h"
#include "engine/base/file_io.h"
#include "frontends/model.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;

constexpr int64_t kTrialEpochs = 3;

struct SearchFlags {
  std::string out;
  int64_t extra_memory = 0;  // bytes; 0: none given
  double step_ms = 0;        // 0: none given
  int64_t trial_steps = 0;   // 0: kTrialEpochs
};

absl::Status WriteText(const std::string& path, const std::string& text) {
  const std::span<const uint8_t> chunk(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  return As(ExitCode::kIo, path, WriteFileAtomically(path.c_str(), std::span(&chunk, 1)));
}

class SearchCommand {
 public:
  SearchCommand(RunSpec spec, SearchFlags search, CommonFlags flags)
      : spec_(std::move(spec)), search_(std::move(search)), flags_(std::move(flags)) {}

  absl::Status Run() {
    PT_TRY(ApplyCommonFlags(&flags_));
    if ((search_.extra_memory > 0) == (spec_.memory_bytes > 0)) {
      return Fail(ExitCode::kUsage, "search: one of --extra-memory and --memory is required");
    }
    PT_TRY(Open());
    PT_TRY(Analyse());
    Selection best;
    PT_TRY(search_.extra_memory > 0 ? SelectByModel(&best) : SelectUnderPeak(&best));
    return Report(best);
  }

 private:
  absl::Status Open() {
    PT_TRY(CheckClassifies(spec_.model.name, "search"));
    auto dataset = OpenRunData(&spec_, flags_);
    if (!dataset.ok()) return dataset.status();
    dataset_ = *std::move(dataset);
    WeightsReport report;
    absl::StatusOr<Model> model = LoadModel(spec_, &report);
    if (!model.ok()) return model.status();
    model_ = std::make_unique<Model>(*std::move(model));
    spec_.model = model_->spec();
    if (!spec_.weights.empty()) {
      for (const std::string& line : report.Lines()) Say(flags_, "weights     " + line);
    }
    absl::StatusOr<SearchSpace> space = SearchSpace::Of(model_->impl().forward);
    if (!space.ok()) return As(ExitCode::kUsage, space.status());
    space_ = std::make_unique<SearchSpace>(*std::move(space));
    const auto samples = static_cast<int64_t>(dataset_->Indices(data::Split::kTrain).size());
    if (search_.trial_steps == 0) {
      search_.trial_steps =
          kTrialEpochs * std::max<int64_t>(1, samples / std::max(1, spec_.model.batch));
    }
    return OpenJournal();
  }

  // Budgets decide which trials are made, not what they give: they are not in the header.
  absl::Status OpenJournal() {
    RunSpec run = spec_;
    run.memory_bytes = 0;
    const Json header = {{"search", 1}, {"run", ToJson(run)}, {"steps", search_.trial_steps}};
    absl::StatusOr<Journal> journal = Journal::Open(
        search_.out + ".trials", header.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!journal.ok()) return journal.status();
    journal_ = std::make_unique<Journal>(*std::move(journal));
    if (const size_t known = journal_->size(); known > 0) {
      Say(flags_, absl::StrCat("resuming    after ", known, " trials"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<TrialResult> Try(const std::string& key, const Learning& learning) {
    if (const TrialResult* known = journal_->Find(key)) return *known;
    if (trained_ == 0) PT_TRY(runner_->Prepare());
    const double begin = NowSeconds();
    absl::StatusOr<TrialResult> result = runner_->Run(space_->SchemeText(learning));
    if (absl::IsCancelled(result.status())) {
      return StoppedBySignal(absl::StrCat("stopped by a signal after ", journal_->size(),
                                          " trials; the same command goes on behind them"));
    }
    if (!result.ok()) return result.status();
    trial_seconds_ += NowSeconds() - begin;
    ++trained_;
    PT_TRY(journal_->Add(key, *result));
    return result;
  }

  absl::Status Analyse() {
    TempFile plan(".ptplan");
    TrialOptions trial = {.steps = search_.trial_steps,
                          .head_steps = search_.trial_steps,
                          .plan_path = plan.path(),
                          .stop_signal = &CatchStopSignals()};
    const Target target = {.threads = flags_.threads, .isa = flags_.isa};
    runner_ = std::make_unique<TrialRunner>(model_.get(), dataset_.get(), spec_, target, trial);
    Progress progress(flags_);
    AnalysisOptions options;
    options.max_bytes = search_.extra_memory > 0 ? search_.extra_memory : INT64_MAX;
    options.run = [&](const std::string& key, const Learning& learning) {
      return Try(key, learning);
    };
    options.on_trial = [&](int done, int left) {
      if (trained_ > 0) progress.OnTrial(done, done + left, trial_seconds_ / trained_);
    };
    absl::StatusOr<Contributions> found = AnalyseContributions(*space_, options);
    if (!found.ok()) return found.status();
    found_ = *std::move(found);
    if (search_.step_ms > 0) max_ms_ = search_.step_ms - found_.head.step_ms;
    if (max_ms_ >= 0) return absl::OkStatus();
    return Fail(ExitCode::kBudget,
                absl::StrFormat("--step-ms: the classifier alone takes more (got %g, want at least "
                                "%.2f)",
                                search_.step_ms, found_.head.step_ms));
  }

  SelectionProblem Problem(int64_t max_bytes) const {
    return {found_.biases, found_.weights, max_bytes, max_ms_};
  }

  absl::Status SelectByModel(Selection* best) {
    *best = SelectExactly(Problem(search_.extra_memory));
    evolved_ = SelectByEvolution(Problem(search_.extra_memory), {.seed = spec_.seed});
    if (best->feasible) return absl::OkStatus();
    return Fail(
        ExitCode::kBudget,
        absl::StrCat("--extra-memory: too little for the classifier alone (got ",
                     search_.extra_memory, " bytes, want at least ", space_->BiasBytes(0), ")"));
  }

  absl::StatusOr<int64_t> PeakOf(const Selection& selection) const {
    const Learning learning = LearningOf(found_, selection);
    const absl::StatusOr<PlanFigures> figures = runner_->Compile(space_->SchemeText(learning));
    if (!figures.ok()) return figures.status();
    return figures->predicted_peak_bytes;
  }

  absl::Status SelectUnderPeak(Selection* best) {
    const absl::StatusOr<PeakSelection> found = SelectByPeak(
        Problem(0), spec_.memory_bytes, [this](const Selection& s) { return PeakOf(s); });
    if (!found.ok()) return found.status();
    *best = found->best;
    evolved_ = SelectByEvolution(Problem(found->model_bytes), {.seed = spec_.seed});
    return absl::OkStatus();
  }

  absl::Status Report(const Selection& best) {
    const Learning learning = LearningOf(found_, best);
    const absl::StatusOr<PlanFigures> figures = runner_->Compile(space_->SchemeText(learning));
    if (!figures.ok()) return figures.status();
    const std::string picture = std::string(absl::StripSuffix(search_.out, ".json")) + ".svg";
    PT_TRY(WriteText(search_.out, space_->SchemeJson(learning).dump(2) + "\n"));
    PT_TRY(WriteText(picture, SearchPicture(*space_, found_, learning,
                                            absl::StrCat(spec_.model.name,
                                                         ": what each layer "
                                                         "brings, and what was chosen"))));
    SayTable(best, learning, *figures);
    Say(flags_, absl::StrCat("scheme in ", search_.out, ", picture in ", picture));
    return EmitJson(flags_, ResultJson(best, learning, *figures, picture));
  }

  void SayTable(const Selection& best, const Learning& learning, const PlanFigures& figures) {
    Say(flags_, absl::StrFormat("analysis    %d trials of %d steps, %d of them now; with the "
                                "classifier's %d training steps",
                                found_.trials, search_.trial_steps, trained_, TotalSteps()));
    Say(flags_, absl::StrFormat("head        validation loss %.4f, accuracy %.1f %%",
                                found_.head.val_loss, 100 * found_.head.val_accuracy));
    Say(flags_, absl::StrFormat("biases      of the last %d of %d layers: gain %.4f nats",
                                best.biases, space_->layers(), found_.biases[best.biases].gain));
    Say(flags_, "  layer  channels     gain  memory  weight");
    for (const Learning::Weight& weight : learning.weights) {
      const ChoiceValue& value = found_.weights[weight.layer][best.weights[weight.layer]];
      Say(flags_, absl::StrFormat("  %5d  %8g  %7.4f  %6d  %s", weight.layer, weight.ratio,
                                  value.gain, value.bytes, space_->weight_name(weight.layer)));
    }
    Say(flags_, absl::StrFormat("chosen      gain %.4f nats in %d bytes of extra memory, exactly; "
                                "by evolution %.4f in %d",
                                best.total.gain, best.total.bytes, evolved_.total.gain,
                                evolved_.total.bytes));
    Say(flags_, absl::StrFormat("plan        peak memory %s, %s parameters learn",
                                HumanBytes(figures.predicted_peak_bytes),
                                HumanCount(figures.trainable_params)));
  }

  // Of all trials, whoever made them, and of the classifier before them.
  int64_t TotalSteps() const { return (found_.trials + 1) * search_.trial_steps; }

  Json ResultJson(const Selection& best, const Learning& learning, const PlanFigures& figures,
                  const std::string& picture) const {
    Json weights = Json::array();
    for (const Learning::Weight& weight : learning.weights) {
      const ChoiceValue& value = found_.weights[weight.layer][best.weights[weight.layer]];
      weights.push_back({{"layer", weight.layer},
                         {"name", space_->weight_name(weight.layer)},
                         {"ratio", weight.ratio},
                         {"gain", value.gain},
                         {"bytes", value.bytes}});
    }
    return {{"model", spec_.model.name},
            {"out", search_.out},
            {"picture", picture},
            {"trials", found_.trials},
            {"trials_now", trained_},
            {"trial_steps", search_.trial_steps},
            {"training_steps", TotalSteps()},
            {"head_val_loss", found_.head.val_loss},
            {"head_val_accuracy", found_.head.val_accuracy},
            {"layers", space_->layers()},
            {"biases", best.biases},
            {"weights", weights},
            {"gain", best.total.gain},
            {"extra_memory_bytes", best.total.bytes},
            {"evolution_gain", evolved_.total.gain},
            {"evolution_extra_memory_bytes", evolved_.total.bytes},
            {"predicted_peak_bytes", figures.predicted_peak_bytes},
            {"arena_bytes", figures.arena_bytes},
            {"trainable_params", figures.trainable_params}};
  }

  RunSpec spec_;
  SearchFlags search_;
  CommonFlags flags_;
  std::unique_ptr<data::Dataset> dataset_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<SearchSpace> space_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<TrialRunner> runner_;
  int trained_ = 0;
  double trial_seconds_ = 0;
  Contributions found_;
  Selection evolved_;
  double max_ms_ = std::numeric_limits<double>::infinity();
};

}  // namespace

void AddSearch(CLI::App& app, cli::Run* run) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto search = std::make_shared<SearchFlags>();
  spec->model.batch = 32;
  CLI::App* command = app.add_subcommand("search", "Find what should learn under a budget");
  command->footer(
      "Example:\n"
      "  pocketune search --model mbv2-w0.35 --weights w.safetensors --data photos/ \\\n"
      "      --extra-memory 100KiB --out scheme.json\n"
      "Trains many schemes for a few steps each. A search that was stopped goes on with the same\n"
      "command; what it knows is in OUT.trials.");
  AddModelFlags(command, spec.get(), true);
  command->add_option("--data", spec->data.path, "Pictures to learn from")->required();
  command->add_option("--out", search->out, "The scheme file to write")->required();
  AddBytesFlag(command, "--extra-memory", &search->extra_memory,
               "Memory beyond inference in MCUNetV3's model, e.g. 100KiB");
  command
      ->add_option("--step-ms", search->step_ms,
                   "A step may not take longer, as measured in the trials")
      ->check(Within(1e-6, 1e9));
  command
      ->add_option("--trial-steps", search->trial_steps,
                   "Steps of each trial (default: three epochs)")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  command->add_option("--lr", spec->lr, "Learning rate of the trials (default 0.01)")
      ->check(Within(1e-12, 1e3));
  AddTrainFlags(command, spec.get());
  command->remove_option(command->get_option("--scheme"));
  AddDataFlags(command, &spec->data);
  AddCommonFlags(command, flags.get());
  command->callback([=] {
    spec->seed = flags->seed;
    *run = [=] { return SearchCommand(*spec, *search, *flags).Run(); };
  });
}

}  // namespace pocketune::cli
