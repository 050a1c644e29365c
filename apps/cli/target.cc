#include "apps/cli/target.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/cli/autotune.h"
#include "apps/cli/named_weights.h"
#include "apps/cli/plan_in_child.h"
#include "apps/data/classes.h"
#include "engine/base/one_line.h"
#include "frontends/zoo/zoo.h"
#include "pocketune/cpu.h"

namespace pocketune::cli {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kGivenNames[] = {"all", "all but the classifier", "none"};

// The folder of the run that a file is a part of; empty where it is a part of none.
fs::path FolderOfRun(const std::string& path) {
  std::error_code error;
  const fs::path named = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : ".";
  for (const fs::path& folder : {named, fs::weakly_canonical(path, error).parent_path()}) {
    if (!RunFolder::HoldsRun(folder.string()) || !fs::exists(folder / "spec.json", error)) continue;
    for (const char* name : {"plan.ptplan", "checkpoint-a", "checkpoint-b", "checkpoint-best"}) {
      if (fs::equivalent(path, folder / name, error)) return folder;
    }
  }
  return {};
}

// A run's plan has the weights from before the training, and a checkpoint only what has learned.
absl::Status CheckNoFileOfARun(const std::string& path) {
  const std::string folder = FolderOfRun(path).string();
  if (folder.empty()) return absl::OkStatus();
  return Fail(ExitCode::kUsage,
              absl::StrCat(path,
                           ": this file alone does not hold what the run has learned; name "
                           "the run's folder (got ",
                           path, ", want ", folder, ")"));
}

// Fills in what the plan's metadata says of the model and its data.
absl::Status ReadMetadata(OpenedTarget* target) {
  const Json metadata =
      Json::parse(target->session->metadata(), nullptr, /*allow_exceptions=*/false);
  if (!metadata.is_object() || !metadata.contains("run")) {
    return Fail(ExitCode::kModel, target->plan_path + ": the plan does not say what it is for");
  }
  absl::StatusOr<RunSpec> spec = RunSpecFromJson(metadata["run"]);
  if (!spec.ok()) return As(ExitCode::kModel, spec.status());
  target->spec = *spec;
  target->given = GivenOf(metadata, target->spec);
  target->class_names = ClassNamesOf(target->session->metadata());
  return absl::OkStatus();
}

// Fewer pictures than a batch: one whole batch is all of them, or as many as micro-batches take.
void FitBatch(int samples, RunSpec* spec, const CommonFlags& flags) {
  int& batch = spec->model.batch;
  int& micro_batch = spec->train.micro_batch;
  const bool is_multiple = micro_batch == 0 || batch % micro_batch == 0;  // else it is refused
  if (samples == 0 || samples >= batch || !is_multiple) return;
  const int asked = batch;
  micro_batch = std::min(micro_batch, samples);
  batch = micro_batch > 0 ? samples / micro_batch * micro_batch : samples;
  Say(flags, absl::StrCat("note: --batch ", asked, " is more than the ", samples,
                          " training pictures: a batch is ", batch,
                          micro_batch > 0 ? absl::StrCat(", in parts of ", micro_batch) : ""));
}

// Before the session takes its memory: does all fit in the bound, and how large may loaders be?
absl::Status Admit(const TargetFeed& feed, const CommonFlags& flags, OpenedTarget* target) {
  target->loader_size = std::max(1, flags.threads - 1);
  if (feed.bound.bytes == 0) return absl::OkStatus();
  const Result<PlanSummary> plan = Session::Summarize(target->plan_path.c_str());
  if (!plan.ok()) return As(ExitCode::kModel, target->plan_path, plan.status());
  const Json metadata = Json::parse(plan.value().metadata, nullptr, /*allow_exceptions=*/false);
  if (!metadata.is_object() || plan.value().data_shape.rank() != 4) return absl::OkStatus();
  const absl::StatusOr<RunSpec> spec = RunSpecFromJson(metadata.value("run", Json()));
  if (!spec.ok()) return absl::OkStatus();  // ReadMetadata says so
  const Shape image = plan.value().data_shape;
  absl::StatusOr<FeedDemand> demand = DemandOf(spec->data, image, nullptr, flags, feed.bound);
  if (!demand.ok()) return demand.status();
  const absl::StatusOr<data::Transform> transform = MakeTransform(spec->data, image, false);
  if (!transform.ok()) return transform.status();
  if (feed.add_demand) PT_TRY(feed.add_demand(*spec, *transform, &*demand));
  const absl::StatusOr<Division> division = DivideBound(feed.bound, plan.value().memory, *demand);
  if (!division.ok()) return division.status();
  target->loader_size = {division->loader_threads, division->queue_batches};
  KeepHeapSmall();
  return absl::OkStatus();
}

absl::StatusOr<OpenedTarget> OpenRun(const std::string& path, const CommonFlags& flags,
                                     const TargetFeed& feed) {
  absl::StatusOr<std::unique_ptr<RunFolder>> folder = RunFolder::OpenToRead(path);
  if (!folder.ok()) return folder.status();
  OpenedTarget target;
  target.name = path;
  target.what = "run";
  target.plan_path = (*folder)->plan_path();
  PT_TRY(Admit(feed, flags, &target));
  absl::StatusOr<std::unique_ptr<Session>> session =
      OpenPlan(target.plan_path, flags.threads, flags.seed);
  if (!session.ok()) return session.status();
  target.session = *std::move(session);
  PT_TRY(ReadMetadata(&target));
  // The plan has the data's path as it was given; spec.json knows where that is, or where it is
  // now.
  if (const absl::StatusOr<Json> spec = (*folder)->ReadSpec(); spec.ok()) {
    const absl::StatusOr<RunSpec> run = RunSpecFromJson(*spec);
    if (run.ok()) target.spec.data.path = run->data.path;
    const Json fingerprint = spec->value("data_fingerprint", Json());
    if (fingerprint.is_string()) target.data_fingerprint = fingerprint.get<std::string>();
  }
  target.spec.data.path = FindFromRun(target.spec.data.path, path);
  std::string warning;
  std::vector<std::string> names;
  const absl::Status restored =
      (*folder)->Restore(*target.session, &target.state, &names, &warning);
  if (absl::IsNotFound(restored)) {
    return Fail(ExitCode::kCheckpoint, path + ": nothing was saved in this run yet");
  }
  PT_TRY(restored);
  if (!names.empty()) target.class_names = names;
  if (!warning.empty()) Say(flags, "warning: " + warning);
  return target;
}

// "blue 14/2/4, red 14/2/4 (train/val/test)": what is in the data, for a person to see that it was
// understood.
std::string ClassesText(const data::Dataset& dataset) {
  constexpr size_t kWritten = 12;
  const std::vector<int64_t> train = dataset.CountPerClass(data::Split::kTrain),
                             val = dataset.CountPerClass(data::Split::kVal),
                             test = dataset.CountPerClass(data::Split::kTest);
  std::vector<std::string> classes;
  for (size_t c = 0; c < dataset.class_names().size(); ++c) {
    classes.push_back(
        absl::StrCat(OneLine(dataset.class_names()[c]), " ", train[c], "/", val[c], "/", test[c]));
  }
  return data::ListNames(classes, kWritten) + " (train/val/test)";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> OpenPlan(const std::string& path, int threads,
                                                  uint64_t seed) {
  SessionOptions options;
  options.threads = threads;
  options.seed = seed;
  Result<std::unique_ptr<Session>> session = OpenCpuSession(path.c_str(), options);
  if (!session.ok()) return As(ExitCode::kModel, path, session.status());
  return std::move(session).value();
}

TempFile::TempFile(const std::string& suffix) {
  std::error_code error;
  fs::path folder = fs::temp_directory_path(error);
  if (error) folder = ".";
  path_ = (folder / absl::StrCat("pocketune-XXXXXX", suffix)).string();
  const int fd = mkstemps(path_.data(), static_cast<int>(suffix.size()));
  if (fd >= 0) close(fd);
}

TempFile::~TempFile() { std::remove(path_.c_str()); }

// Plans from before this was written down hold what the weights' file gave, if there was one.
GivenWeights GivenOf(const Json& metadata, const RunSpec& spec) {
  const Json name = metadata.value("weights_given", Json());
  for (const GivenWeights given :
       {GivenWeights::kAll, GivenWeights::kAllButClassifier, GivenWeights::kNone}) {
    if (name == kGivenNames[static_cast<int>(given)]) return given;
  }
  return spec.weights.empty() ? GivenWeights::kNone : GivenWeights::kAll;
}

std::vector<std::string> ClassNamesOf(const ZooModel& model, const RunSpec& spec) {
  return model.given == GivenWeights::kAll ? ClassNamesOfWeights(spec.weights, model.spec.classes)
                                           : std::vector<std::string>();
}

std::vector<std::string> ClassNamesOf(std::string_view metadata) {
  const Json json = Json::parse(metadata, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> names;
  if (!json.is_object()) return names;
  for (const Json& name : json.value("class_names", Json::array())) {
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  return names;
}

std::string FingerprintOf(const data::Dataset& dataset) {
  return absl::StrFormat("%016x", dataset.Fingerprint());
}

absl::StatusOr<std::unique_ptr<data::Dataset>> OpenRunData(
    RunSpec* spec, const CommonFlags& flags, const std::vector<std::string>& known_classes) {
  absl::StatusOr<std::unique_ptr<data::Dataset>> opened =
      OpenDataset(spec->data, spec->seed, known_classes);
  if (!opened.ok()) return opened.status();
  const data::Dataset& dataset = **opened;
  const int classes = static_cast<int>(dataset.class_names().size());
  if (spec->model.classes == 0) spec->model.classes = classes;
  if (spec->model.classes < classes) {
    return Fail(ExitCode::kUsage, absl::StrCat("--classes: fewer than the data has (got ",
                                               spec->model.classes, ", want ", classes, ")"));
  }
  const auto count = [&](data::Split split) { return dataset.Indices(split).size(); };
  Say(flags, absl::StrFormat("data        %s: %d classes; %d train, %d val, %d test",
                             data::NameOf(dataset.format()), classes, count(data::Split::kTrain),
                             count(data::Split::kVal), count(data::Split::kTest)));
  Say(flags, "classes     " + ClassesText(dataset));
  for (const std::string& note : dataset.notes()) Say(flags, "note: " + note);
  FitBatch(static_cast<int>(count(data::Split::kTrain)), spec, flags);
  return opened;
}

absl::StatusOr<ZooModel> LoadModel(const RunSpec& spec, WeightsReport* report) {
  const absl::StatusOr<ModelSpec> known = Complete(spec.model);
  if (!known.ok()) return As(ExitCode::kUsage, known.status());
  WeightsReport ignored;
  if (report == nullptr) report = &ignored;
  Outcome<ZooModel> model = BuildZooModel(spec.model, spec.weights, spec.seed, report);
  if (model.ok() && spec.model.classes == 0 && report->classes > 0) {
    ModelSpec of_file = spec.model;
    of_file.classes = static_cast<int>(std::min<int64_t>(report->classes, INT32_MAX));
    model = BuildZooModel(of_file, spec.weights, spec.seed, report);
  }
  if (!model.ok()) return As(spec.weights.empty() ? ExitCode::kUsage : ExitCode::kModel, model);
  return std::move(model.value());
}

absl::StatusOr<Plan> CompileModel(const ZooModel& model, RunSpec spec, const CommonFlags& flags,
                                  const std::vector<std::string>& class_names, int64_t plan_bytes,
                                  int64_t* smallest) {
  spec.model = model.spec;
  const Json metadata = {{"run", ToJson(spec)},
                         {"class_names", class_names},
                         {"weights_given", kGivenNames[static_cast<int>(model.given)]}};
  const absl::StatusOr<std::unique_ptr<Tuning>> tuning = LoadTuning(flags);
  if (!tuning.ok()) return tuning.status();
  const Target target = {.threads = flags.threads,
                         .isa = flags.isa,
                         .keep_order = flags.keep_order,
                         .predicts_one = !flags.batch_only,
                         .memory_bytes = plan_bytes,
                         .cache_bytes = spec.cache_bytes,
                         .tuning = tuning->get()};
  Outcome<Plan> plan = Compile(model.model, spec.train, target,
                               metadata.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!plan.ok()) {
    const bool too_small = plan.code() == StatusCode::kOutOfRange;
    if (too_small && smallest != nullptr) *smallest = plan.detail();
    return As(too_small ? ExitCode::kBudget : ExitCode::kUsage, plan);
  }
  const std::string& given_up = plan->figures.memory.given_up;
  if (!given_up.empty()) Warn(flags, "--memory: " + given_up);
  return std::move(plan.value());
}

absl::StatusOr<Plan> CompileSpec(const RunSpec& spec, const CommonFlags& flags,
                                 WeightsReport* report) {
  absl::StatusOr<ZooModel> model = LoadModel(spec, report);
  if (!model.ok()) return model.status();
  return CompileModel(*model, spec, flags, ClassNamesOf(*model, spec), spec.memory_bytes);
}

absl::StatusOr<OpenedTarget> OpenTarget(const std::string& path, const RunSpec& spec,
                                        const CommonFlags& flags, const TargetFeed& feed) {
  std::error_code error;
  if (fs::is_directory(path, error)) return OpenRun(path, flags, feed);
  PT_TRY(CheckNoFileOfARun(path));
  OpenedTarget target;
  target.name = path;
  target.plan_path = path;
  TempFile temporary(".ptplan");
  if (fs::exists(path, error)) {
    target.what = "plan";
  } else {
    target.what = "model";
    RunSpec named = spec;
    named.model.name = path;
    named.data = DataSpec();  // what is judged now is not what it was trained on
    named.data.normalize = spec.data.normalize;
    const absl::StatusOr<PlanOfChild> plan =
        CompileInChild(named, flags, nullptr, feed.bound, temporary.path());
    if (!plan.ok()) return plan.status();
    for (const std::string& line : plan->weights_lines) Say(flags, "weights     " + line);
    target.plan_path = temporary.path();
  }
  PT_TRY(Admit(feed, flags, &target));
  absl::StatusOr<std::unique_ptr<Session>> session =
      OpenPlan(target.plan_path, flags.threads, flags.seed);
  if (!session.ok()) return session.status();
  target.session = *std::move(session);
  PT_TRY(ReadMetadata(&target));
  return target;
}

absl::Status CheckModelFlags(const OpenedTarget& target, const RunSpec& asked,
                             const GivenFlags& given) {
  if (target.what == "model") {
    return given.CheckSettled({{"--model", asked.model.name, target.name}},
                              "--checkpoint names another");
  }
  if (given.Has("--weights")) {
    return Fail(ExitCode::kUsage,
                absl::StrCat("--weights: ", target.name, " has weights of its own (got ",
                             asked.weights, ", want none)"));
  }
  return given.CheckSettled(SettledModelFlags(asked, target.spec),
                            absl::StrCat(target.name, " was made with another value"));
}

absl::Status CheckAnswers(const OpenedTarget& target, const CommonFlags& flags) {
  if (target.given == GivenWeights::kAll || target.state.step > 0) return absl::OkStatus();
  const bool all = target.given == GivenWeights::kNone;
  const std::string random =
      absl::StrCat(target.name, ": ", all ? "its weights are" : "its classifier is",
                   " random, and no answer of it means anything");
  if (target.what == "run") {
    Warn(flags, random + ": no step of its training has been kept");
    return absl::OkStatus();
  }
  if (!all) {
    return Fail(ExitCode::kModel,
                absl::StrCat(random, ": ", target.spec.weights,
                             " is for another number of classes; train it first, or ask for that "
                             "number with --classes"));
  }
  if (target.what == "model") return Fail(ExitCode::kUsage, random + ": --weights is required");
  return Fail(ExitCode::kModel, random + ": compile it with --weights, or name a run's folder");
}

}  // namespace pocketune::cli
