#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/common_flags.h"
#include "apps/cli/memory_bound.h"
#include "apps/cli/named_weights.h"
#include "apps/cli/plan_in_child.h"
#include "apps/cli/progress.h"
#include "apps/cli/search_outcome.h"
#include "apps/cli/stop_signal.h"
#include "apps/cli/target.h"
#include "apps/search/contribution.h"
#include "apps/search/finals.h"
#include "apps/search/journal.h"
#include "apps/search/peak_budget.h"
#include "apps/search/picture.h"
#include "engine/base/clock.h"
#include "engine/base/file_io.h"
#include "engine/base/resident_memory.h"
#include "graph/ir/model.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr int64_t kTrialEpochs = 3;
constexpr int64_t kTrialsPerFinal = 4;

struct SearchFlags {
  std::string out;
  int64_t extra_memory = 0;  // bytes; 0: none given
  double step_ms = 0;        // 0: none given
  int64_t trial_steps = 0;   // 0: kTrialEpochs
  int64_t final_steps = -1;  // -1: those of kTrialsPerFinal trials; 0: no finals
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
    PT_TRY(CheckOut());
    bound_ = FindBound(spec_.memory_bytes, flags_);
    if (bound_.bytes > 0) KeepHeapSmall();
    PT_TRY(Open());
    PT_TRY(Analyse());
    PT_TRY(search_.extra_memory > 0 ? SelectByModel() : SelectUnderPeak());
    PT_TRY(ChooseFinally());
    return Report();
  }

 private:
  std::string PicturePath() const {
    return std::string(absl::StripSuffix(search_.out, ".json")) + ".svg";
  }

  // A file that no search has written stays as it is; Journal::Open looks whose the journal is.
  absl::Status CheckOut() const {
    std::error_code error;
    if (fs::is_directory(search_.out, error)) {
      return Fail(ExitCode::kUsage,
                  "--out: want a file to write the scheme to, got the folder " + search_.out);
    }
    if (fs::exists(search_.out + ".trials", error)) return absl::OkStatus();
    for (const std::string& path : {search_.out, PicturePath()}) {
      if (!fs::exists(path, error)) continue;
      return Fail(
          ExitCode::kUsage,
          absl::StrCat(path, ": is there already, and is not of a search to go on with (no ",
                       search_.out, ".trials): take another --out"));
    }
    return absl::OkStatus();
  }

  absl::Status Open() {
    PT_TRY(CheckClassifies(spec_.model.name, "search"));
    auto dataset = OpenRunData(&spec_, flags_);
    if (!dataset.ok()) return dataset.status();
    dataset_ = *std::move(dataset);
    WeightsReport report;
    absl::StatusOr<ZooModel> model = LoadModel(spec_, &report);
    if (!model.ok()) return model.status();
    model_ = std::make_unique<ZooModel>(*std::move(model));
    spec_.model = model_->spec;
    if (!spec_.weights.empty()) {
      for (const std::string& line : report.Lines()) Say(flags_, "weights     " + line);
    }
    absl::StatusOr<SearchSpace> space = SearchSpace::Of(model_->model.impl().forward);
    if (!space.ok()) return As(ExitCode::kUsage, space.status());
    space_ = std::make_unique<SearchSpace>(*std::move(space));
    const auto samples = static_cast<int64_t>(dataset_->Indices(data::Split::kTrain).size());
    if (search_.trial_steps == 0) {
      search_.trial_steps =
          kTrialEpochs * std::max<int64_t>(1, samples / std::max(1, spec_.model.batch));
    }
    if (search_.final_steps < 0) search_.final_steps = kTrialsPerFinal * search_.trial_steps;
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
    if (!journal_->damage().empty()) Warn(flags_, journal_->damage());
    if (const size_t known = journal_->size(); known > 0) {
      Say(flags_, absl::StrCat("resuming    after ", known, " trials"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<TrialResult> Try(const std::string& key, const Learning& learning, int64_t steps) {
    if (const TrialResult* known = journal_->Find(key)) return *known;
    if (!prepared_) PT_TRY(runner_->Prepare());
    prepared_ = true;
    const double begin = NowSeconds();
    absl::StatusOr<TrialResult> result = runner_->Run(space_->SchemeText(learning), steps);
    if (absl::IsCancelled(result.status())) {
      return StoppedBySignal(absl::StrCat("stopped by a signal after ", journal_->size(),
                                          " trials; the same command goes on behind them"));
    }
    if (ExitCodeOf(result.status()) == ExitCode::kBudget) {
      Say(flags_, absl::StrCat("not tried   ", key, ": no plan of it fits in the bound"));
      return TrialResult{.val_loss = std::numeric_limits<double>::infinity()};
    }
    if (!result.ok()) return result.status();
    trial_seconds_ += NowSeconds() - begin;
    ++trained_;
    PT_TRY(journal_->Add(key, *result));
    return result;
  }

  // All of this process within the bound: what plans may take, and how the rest is divided.
  absl::Status BoundTrials(TrialOptions* trial) {
    absl::StatusOr<FeedDemand> demand =
        DemandOf(spec_.data, model_->model.data_shape(), dataset_.get(), flags_, bound_);
    if (!demand.ok()) return demand.status();
    demand->dataset_bytes += ParamBytes();  // the model is there as long
    const ProcessBudget budget(bound_.bytes, bound_.why, *demand);
    const auto compile = [this](const std::string& scheme, const std::string& path,
                                int64_t plan_bytes) {
      RunSpec spec = spec_;
      spec.train.scheme = scheme;
      return CompileSchemeInChild(*model_, spec, flags_, plan_bytes, path);
    };
    const absl::StatusOr<PlanFigures> head = compile(space_->SchemeText({}), "", 0);
    if (!head.ok()) return head.status();
    plan_bytes_ = budget.PlanBytes(0).value_or(0);
    if (head->predicted_peak_bytes > plan_bytes_) {
      return budget.TooSmall(head->predicted_peak_bytes, 0);
    }
    trial->bound = {.compile = compile,
                    .plan_bytes = plan_bytes_,
                    .divide = [budget](int64_t peak) { return *budget.Divide(peak, 0); }};
    return absl::OkStatus();
  }

  int64_t ParamBytes() const {
    return CountParams(model_->model.impl().forward) * int64_t{sizeof(float)};
  }

  absl::Status Analyse() {
    TrialOptions trial = {.head_steps = search_.trial_steps,
                          .plan_path = plan_.path(),
                          .stop_signal = &CatchStopSignals()};
    if (bound_.bytes > 0) PT_TRY(BoundTrials(&trial));
    const Target target = {.threads = flags_.threads, .isa = flags_.isa};
    runner_ = std::make_unique<TrialRunner>(&model_->model, dataset_.get(), spec_, target, trial);
    Progress progress(flags_);
    AnalysisOptions options;
    options.max_bytes = search_.extra_memory > 0 ? search_.extra_memory : INT64_MAX;
    options.run = [&](const std::string& key, const Learning& learning) {
      return Try(key, learning, search_.trial_steps);
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

  absl::Status SelectByModel() {
    best_ = SelectExactly(Problem(search_.extra_memory));
    evolved_ = SelectByEvolution(Problem(search_.extra_memory), {.seed = spec_.seed});
    if (best_.feasible) return absl::OkStatus();
    return Fail(
        ExitCode::kBudget,
        absl::StrCat("--extra-memory: too little for the classifier alone (got ",
                     search_.extra_memory, " bytes, want at least ", space_->BiasBytes(0), ")"));
  }

  absl::StatusOr<int64_t> PeakOf(const Learning& learning) const {
    const absl::StatusOr<PlanFigures> figures = runner_->Compile(space_->SchemeText(learning));
    if (!figures.ok()) return figures.status();
    return figures->predicted_peak_bytes;
  }

  absl::Status SelectUnderPeak() {
    const absl::StatusOr<PeakSelection> found =
        SelectByPeak(Problem(0), plan_bytes_,
                     [this](const Selection& s) { return PeakOf(LearningOf(found_, s)); });
    if (!found.ok()) return found.status();
    best_ = found->best;
    evolved_ = SelectByEvolution(Problem(found->model_bytes), {.seed = spec_.seed});
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Fits(const Learning& learning) const {
    const bool by_model = search_.extra_memory > 0;
    const absl::StatusOr<int64_t> bytes = by_model ? space_->BytesOf(learning) : PeakOf(learning);
    if (!bytes.ok()) return bytes.status();
    return *bytes <= (by_model ? search_.extra_memory : plan_bytes_);
  }

  absl::Status ChooseFinally() {
    AddFinalist({"exact", LearningOf(found_, best_), {}});
    if (search_.final_steps == 0) return absl::OkStatus();
    Finalist evolved = {"evolution", LearningOf(found_, evolved_), {}};
    const absl::StatusOr<bool> fits = Fits(evolved.learning);
    if (!fits.ok()) return fits.status();
    if (*fits) AddFinalist(std::move(evolved));
    absl::StatusOr<std::vector<Finalist>> known = KnownFinalists(
        *space_, spec_.model.name, [this](const Learning& learning) { return Fits(learning); });
    if (!known.ok()) return known.status();
    for (Finalist& finalist : *known) AddFinalist(std::move(finalist));
    const auto run = [&](const Finalist& finalist) {
      Say(flags_, absl::StrFormat("final       %s, %d steps", finalist.name, search_.final_steps));
      const std::string text = space_->SchemeText(finalist.learning);
      return Try(absl::StrCat("final ", search_.final_steps, " ", text), finalist.learning,
                 search_.final_steps);
    };
    const double max_ms =
        search_.step_ms > 0 ? search_.step_ms : std::numeric_limits<double>::infinity();
    const absl::StatusOr<size_t> winner = RunFinals(run, max_ms, &finalists_);
    if (!winner.ok()) return winner.status();
    winner_ = *winner;
    return absl::OkStatus();
  }

  void AddFinalist(Finalist finalist) {
    const auto same = [&](const Finalist& other) { return other.learning == finalist.learning; };
    if (std::none_of(finalists_.begin(), finalists_.end(), same)) {
      finalists_.push_back(std::move(finalist));
    }
  }

  absl::Status Report() {
    SearchOutcome outcome = {.space = *space_,
                             .contributions = found_,
                             .exact = best_,
                             .evolved = evolved_,
                             .finalists = finalists_,
                             .winner = winner_,
                             .trial_steps = search_.trial_steps,
                             .final_steps = search_.final_steps,
                             .trained_now = trained_};
    const Learning& chosen = outcome.chosen();
    const absl::StatusOr<int64_t> bytes = space_->BytesOf(chosen);
    if (!bytes.ok()) return bytes.status();
    outcome.extra_memory_bytes = *bytes;
    const absl::StatusOr<PlanFigures> figures = runner_->Compile(space_->SchemeText(chosen));
    if (!figures.ok()) return figures.status();
    outcome.figures = *figures;
    const std::string picture = PicturePath();
    const std::string title =
        absl::StrCat(spec_.model.name, ": what each layer brings, and what was chosen");
    PT_TRY(WriteText(search_.out, space_->SchemeJson(chosen).dump(2) + "\n"));
    PT_TRY(WriteText(picture, SearchPicture(*space_, found_, chosen, title)));
    for (const std::string& line : TableOf(outcome)) Say(flags_, line);
    Say(flags_, absl::StrCat("scheme in ", search_.out, ", picture in ", picture));
    Json json = ToJson(outcome);
    json["model"] = spec_.model.name;
    json["out"] = search_.out;
    json["process_peak_bytes"] = PeakResidentBytes();
    if (bound_.bytes > 0) json["plan_budget_bytes"] = plan_bytes_;
    json["picture"] = picture;
    return EmitJson(flags_, json);
  }

  RunSpec spec_;
  SearchFlags search_;
  CommonFlags flags_;
  MemoryBound bound_;
  int64_t plan_bytes_ = 0;  // of the bound
  std::unique_ptr<data::Dataset> dataset_;
  std::unique_ptr<ZooModel> model_;
  std::unique_ptr<SearchSpace> space_;
  std::unique_ptr<Journal> journal_;
  const TempFile plan_{".ptplan"};  // of the trial at hand; outlives the runner
  std::unique_ptr<TrialRunner> runner_;
  bool prepared_ = false;
  int trained_ = 0;
  double trial_seconds_ = 0;
  Contributions found_;
  Selection best_, evolved_;
  std::vector<Finalist> finalists_;
  size_t winner_ = 0;
  double max_ms_ = std::numeric_limits<double>::infinity();
};

}  // namespace

void AddSearch(Commands& commands) {
  auto flags = std::make_shared<CommonFlags>();
  auto spec = std::make_shared<RunSpec>();
  auto search = std::make_shared<SearchFlags>();
  spec->model.batch = 32;
  const Command command = commands.Add("search", "Find what should learn under a budget");
  command.EndsWith(
      "Example:\n"
      "  pocketune search --model mbv2-w0.35 --weights w.safetensors --data photos/ \\\n"
      "      --extra-memory 100KiB --out scheme.json\n"
      "Trains many schemes for a few steps each. A search that was stopped goes on with the same\n"
      "command; what it knows is in OUT.trials.");
  AddModelFlags(command, spec.get(), true);
  command.Add("--data", &spec->data.path, "Pictures to learn from").Required();
  command.Add("--out", &search->out, "The scheme file to write").Required();
  AddBytesFlag(command, "--extra-memory", &search->extra_memory,
               "Memory beyond inference in MCUNetV3's model, e.g. 100KiB");
  command
      .Add("--step-ms", &search->step_ms, "A step may not take longer, as measured in the trials")
      .Number(1e-6, 1e9);
  command.Add("--trial-steps", &search->trial_steps, "Steps of each trial (default: three epochs)")
      .Whole(1, 1000000);
  command
      .Add("--final-steps", &search->final_steps,
           "Steps of each scheme that is compared at the end (default: of four trials; 0:\n"
           "take the exact choice)")
      .Whole(0, 1000000);
  command.Add("--lr", &spec->lr, "Learning rate of the trials (default 0.01)").Number(1e-12, 1e3);
  AddTrainFlags(command, spec.get());
  command.Remove("--scheme");
  AddDataFlags(command, &spec->data);
  AddCommonFlags(command, flags.get());
  command.Runs([=]() -> absl::Status {
    spec->seed = flags->seed;
    PT_TRY(TakeNamedWeights(spec.get(), *flags, command.IsGiven("--normalize")));
    return SearchCommand(*spec, *search, *flags).Run();
  });
}

}  // namespace pocketune::cli
