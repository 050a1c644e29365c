#include "apps/cli/eval_data.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "apps/data/classes.h"
#include "apps/train/exit_code.h"
#include "graph/base/status_macros.h"

namespace pocketune::cli {
namespace {

using Names = std::vector<std::string>;
using OpenedData = absl::StatusOr<std::unique_ptr<data::Dataset>>;

constexpr size_t kNamesInALine = 8;
constexpr data::Split kSplitsByUse[] = {data::Split::kTest, data::Split::kVal, data::Split::kTrain};

bool SamePlace(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || std::filesystem::equivalent(a, b, error);
}

// Flags that would judge other pictures than the run kept for it, or prepare them otherwise.
absl::Status CheckFlags(const OpenedTarget& target, const RunSpec& asked, bool own,
                        const GivenFlags& given) {
  const DataSpec& a = asked.data;
  const DataSpec& s = target.spec.data;
  if (s.path.empty()) return absl::OkStatus();
  PT_TRY(given.CheckSettled({{"--normalize", a.normalize, s.normalize}},
                            target.name + " was trained on pictures prepared otherwise"));
  if (!own) return absl::OkStatus();
  return given.CheckSettled(
      {{"--val-fraction", absl::StrCat(a.val_fraction), absl::StrCat(s.val_fraction)},
       {"--test-fraction", absl::StrCat(a.test_fraction), absl::StrCat(s.test_fraction)},
       {"--class-names", a.class_names, s.class_names},
       {"--seed", absl::StrCat(asked.seed), absl::StrCat(target.spec.seed)}},
      target.name + " split its own pictures otherwise");
}

// What `asked` says of data that a target was not trained on; of a run's own, as the run took them.
DataSpec SpecOf(const OpenedTarget& target, const DataSpec& asked, bool own,
                const GivenFlags& given) {
  const DataSpec& of_run = target.spec.data;
  DataSpec data = own ? of_run : asked;
  if (!asked.path.empty()) data.path = asked.path;
  if (!own && !of_run.path.empty()) {
    data.normalize = of_run.normalize;
    if (!given.Has("--perturb")) data.perturb = of_run.perturb;
    if (!given.Has("--class-names")) data.class_names = of_run.class_names;
  }
  if (of_run.path.empty() && !given.Has("--normalize")) data.normalize = of_run.normalize;
  if (own && !asked.perturb.empty()) data.perturb = asked.perturb;
  if (own && given.Has("--max-train")) data.max_train_per_class = asked.max_train_per_class;
  data.max_eval_per_class = asked.max_eval_per_class;
  if (own) return data;
  // Where no splits are named, what is judged counts as training.
  if (!given.Has("--max-train")) data.max_train_per_class = asked.max_eval_per_class;
  // All pictures are there to be judged, unless somebody asks for parts.
  if (!given.Has("--val-fraction")) data.val_fraction = 0;
  if (!given.Has("--test-fraction")) data.test_fraction = 0;
  return data;
}

// Are the pictures at `path` those that the run was trained on, moved?
bool AreTheRuns(const OpenedTarget& target, const std::string& path) {
  if (target.data_fingerprint.empty()) return false;
  DataSpec spec = target.spec.data;
  spec.path = path;
  const OpenedData dataset = OpenDataset(spec, target.spec.seed, target.class_names);
  return dataset.ok() && FingerprintOf(**dataset) == target.data_fingerprint;
}

bool NamesSplits(const data::Dataset& dataset) {
  return std::any_of(std::begin(kSplitsByUse), std::end(kSplitsByUse),
                     [&](data::Split split) { return dataset.names_split(split); });
}

// Fractions split what the data leave unsplit.
absl::Status CheckFractions(const data::Dataset& dataset, const std::string& path,
                            const GivenFlags& given) {
  const bool test = given.Has("--test-fraction") && NamesSplits(dataset);
  const bool val =
      given.Has("--val-fraction") && NamesSplits(dataset) &&
      (dataset.names_split(data::Split::kVal) || !dataset.names_split(data::Split::kTrain));
  if (!test && !val) return absl::OkStatus();
  return Fail(ExitCode::kUsage,
              absl::StrCat(test ? "--test-fraction" : "--val-fraction", ": ", path,
                           " names its splits itself; choose with --split"));
}

// The classes of a target that has no names for them: numbers, where the data's are such.
absl::StatusOr<Names> NumbersFor(const data::Dataset& dataset, const std::string& path,
                                 int64_t classes) {
  const Names& found = dataset.class_names();
  const bool numbers = std::all_of(found.begin(), found.end(), [&](const std::string& name) {
    int64_t number = 0;
    return absl::SimpleAtoi(name, &number) && number >= 0 && number < classes &&
           absl::StrCat(number) == name;
  });
  if (static_cast<int64_t>(found.size()) == classes && !numbers) return Names();
  if (!numbers) {
    return Fail(
        ExitCode::kData,
        absl::StrCat(path,
                     ": the data have other classes than the model, which has no "
                     "names for its own (got ",
                     found.size(), ", want ", classes, "; --class-names names the model's)"));
  }
  Names names;
  for (int64_t i = 0; i < classes; ++i) names.push_back(absl::StrCat(i));
  return names == found ? Names() : names;
}

// The classes that the data's are matched to.
Names KnownClasses(const OpenedTarget& target, const DataSpec& spec) {
  if (!target.class_names.empty()) return target.class_names;
  if (spec.class_names.empty()) return {};
  return absl::StrSplit(spec.class_names, ',');
}

OpenedData OpenMatched(const OpenedTarget& target, const DataSpec& spec, uint64_t seed) {
  const Names known = KnownClasses(target, spec);
  const int64_t classes = target.spec.model.classes;
  if (!known.empty() && target.class_names.empty() &&
      static_cast<int64_t>(known.size()) != classes) {
    return Fail(ExitCode::kUsage,
                absl::StrCat("--class-names: not as many as the model has classes "
                             "(got ",
                             known.size(), ", want ", classes, ")"));
  }
  OpenedData dataset = OpenDataset(spec, seed, known);
  if (!dataset.ok() || !known.empty()) return dataset;
  PT_TRY_ASSIGN(const Names numbers, NumbersFor(**dataset, spec.path, classes));
  return numbers.empty() ? std::move(dataset) : OpenDataset(spec, seed, numbers);
}

absl::Status ChooseSplit(bool own, const std::string& asked, const GivenFlags& given,
                         JudgedData* judged) {
  const data::Dataset& dataset = *judged->dataset;
  const bool unsplit = !own && !NamesSplits(dataset) && !given.Has("--val-fraction") &&
                       !given.Has("--test-fraction");
  judged->split = data::Split::kTrain;
  judged->what = "all";
  if (unsplit) return absl::OkStatus();
  Names there;
  for (const data::Split split : kSplitsByUse) {
    if (!dataset.Indices(split).empty()) there.emplace_back(data::NameOf(split));
  }
  judged->what = given.Has("--split") ? asked : there.front();
  if (std::find(there.begin(), there.end(), judged->what) == there.end()) {
    return Fail(ExitCode::kData,
                absl::StrCat(judged->spec.path, ": no pictures in that split (got ", asked,
                             ", want of ", absl::StrJoin(there, ", "), ")"));
  }
  for (const data::Split split : kSplitsByUse) {
    if (judged->what == data::NameOf(split)) judged->split = split;
  }
  return absl::OkStatus();
}

void SayJudged(const JudgedData& judged, bool own, const CommonFlags& flags) {
  const data::Dataset& dataset = *judged.dataset;
  for (const std::string& note : dataset.notes()) Say(flags, "note: " + note);
  const std::vector<int64_t> counts = dataset.CountPerClass(judged.split);
  Names missing;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) missing.push_back(dataset.class_names()[i]);
  }
  Say(flags, absl::StrCat("judged      ",
                          judged.what == "all" ? "all pictures (no splits are named)"
                                               : absl::StrCat("the ", judged.what, " split"),
                          own ? " of the run's data, " : " of ", judged.spec.path, ": ",
                          dataset.Indices(judged.split).size()));
  if (missing.empty()) return;
  Say(flags, absl::StrCat("note: no picture of ", missing.size(), " of ", counts.size(),
                          " classes: ", data::ListNames(missing, kNamesInALine)));
}

}  // namespace

absl::StatusOr<JudgedData> OpenJudgedData(const OpenedTarget& target, const RunSpec& asked,
                                          const std::string& split, const GivenFlags& given,
                                          const CommonFlags& flags) {
  const std::string& of_run = target.spec.data.path;
  const std::string& path = asked.data.path;
  if (of_run.empty() && path.empty()) return Fail(ExitCode::kUsage, "--data is required");
  const bool own =
      !of_run.empty() && (path.empty() || SamePlace(path, of_run) || AreTheRuns(target, path));
  if (path.empty()) PT_TRY(CheckDataIsThere(of_run, target.name));
  PT_TRY(CheckFlags(target, asked, own, given));
  JudgedData judged;
  judged.spec = SpecOf(target, asked.data, own, given);
  const uint64_t seed = own || !given.Has("--seed") ? target.spec.seed : asked.seed;
  OpenedData dataset = OpenMatched(target, judged.spec, seed);
  if (!dataset.ok()) return dataset.status();
  judged.dataset = *std::move(dataset);
  if (!own) PT_TRY(CheckFractions(*judged.dataset, judged.spec.path, given));
  PT_TRY(ChooseSplit(own, split, given, &judged));
  SayJudged(judged, own, flags);
  return judged;
}

}  // namespace pocketune::cli
