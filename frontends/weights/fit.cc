#include "frontends/weights/fit.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/one_line.h"
#include "frontends/weights/names.h"
#include "frontends/weights/weights.h"
#include "frontends/zoo/zoo.h"

namespace pocketune {
namespace {

// Those that published weights come in.
constexpr double kWidths[] = {0.1, 0.2, 0.25, 0.3, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4, 1.5, 2.0};

// A checkpoint with its optimizer's states has a few thousand; more would take long to compare.
constexpr size_t kMostTensors = 20000;

const WeightsEntry* Find(const NameMatch& match, const Value& param) {
  const auto found = match.entries.find(param.name);
  return found == match.entries.end() ? nullptr : found->second;
}

bool Fits(const Graph& graph, const NameMatch& match) {
  return std::all_of(graph.values.begin(), graph.values.end(), [&](const Value& value) {
    if (value.kind != ValueKind::kParam) return true;
    const WeightsEntry* entry = Find(match, value);
    return entry != nullptr && SameShape(value, *entry);
  });
}

// Side and channels of the input that has so many numbers; false where there is none.
bool TakeInputs(int64_t numbers, ModelSpec* spec) {
  if (!(*FindModel(spec->name))->square) {
    spec->input_channels = int(std::min<int64_t>(numbers, INT32_MAX));
    return true;
  }
  for (const int channels : {1, 3}) {
    const auto side = std::llround(std::sqrt(double(numbers) / channels));
    if (side < 1 || side > 4096 || side * side * channels != numbers) continue;
    spec->input_channels = channels;
    spec->resolution = static_cast<int>(side);
    return true;
  }
  return false;
}

// What the shapes of the first weight and of the classifier's say.
bool TakeShapes(const Graph& graph, const NameMatch& match, ModelSpec* spec) {
  bool first = true;
  for (const Value& value : graph.values) {
    if (value.kind != ValueKind::kParam || value.role != ParamRole::kWeight) continue;
    const WeightsEntry* entry = Find(match, value);
    if (entry == nullptr || entry->shape.size() < 2) return false;
    const int64_t outputs = entry->shape[0], inputs = entry->shape[1];
    if (outputs < 1 || outputs > 100000 || inputs < 1) return false;
    if (value.section == Section::kClassifier) spec->classes = static_cast<int>(outputs);
    if (first && value.layout == ParamLayout::kConv)
      spec->input_channels = int(std::min<int64_t>(inputs, INT32_MAX));
    if (first && value.layout == ParamLayout::kRows && !TakeInputs(inputs, spec)) return false;
    first = false;
  }
  return true;
}

// Does the file have any of these under their names? Yes where several sets of tensors fit: loading
// says so.
bool HasAny(const std::vector<std::string>& params, const std::set<std::string>& wanted,
            const WeightsFile& file) {
  const absl::StatusOr<NameMatch> match = MatchNames(params, file);
  if (!match.ok()) return true;
  return std::any_of(match->entries.begin(), match->entries.end(),
                     [&](const auto& entry) { return wanted.contains(entry.first); });
}

// `spec` with what the file says in place of its classes and inputs; nothing where it does not fit.
std::optional<ModelSpec> FitOf(const WeightsFile& file, ModelSpec spec) {
  spec.batch = 1;
  const absl::StatusOr<bool> folded = HasFoldedNorm(spec, file);
  if (!folded.ok()) return std::nullopt;
  spec.folded_norm = *folded;
  absl::StatusOr<Graph> graph = BuildModel(spec);
  if (!graph.ok()) return std::nullopt;
  const absl::StatusOr<NameMatch> match = MatchNames(ParamNames(*graph), file);
  if (!match.ok() || match->entries.size() < ParamNames(*graph).size()) return std::nullopt;
  if (!TakeShapes(*graph, *match, &spec)) return std::nullopt;
  graph = BuildModel(spec);
  if (!graph.ok() || !Fits(*graph, *match)) return std::nullopt;
  return spec;
}

std::string Flags(const ModelSpec& spec) {
  std::string flags = absl::StrCat("--model ", spec.name);
  const absl::StatusOr<const ZooEntry*> entry = FindModel(spec.name);
  if (!entry.ok()) return flags;
  if (spec.width != 0 && spec.width != (*entry)->default_width) {
    absl::StrAppend(&flags, " --width ", spec.width);
  }
  if (spec.resolution != 0) absl::StrAppend(&flags, " --resolution ", spec.resolution);
  if (spec.input_channels != (*entry)->channels) {
    absl::StrAppend(&flags, " --input-channels ", spec.input_channels);
  }
  return absl::StrCat(flags, " --classes ", spec.classes);
}

}  // namespace

absl::StatusOr<bool> HasFoldedNorm(ModelSpec spec, const WeightsFile& file) {
  spec.folded_norm = false;
  const absl::StatusOr<Graph> whole = BuildModel(spec);
  if (!whole.ok()) return whole.status();
  spec.folded_norm = true;
  const absl::StatusOr<Graph> folded = BuildModel(spec);
  if (!folded.ok()) return folded.status();
  std::set<std::string> statistics;
  for (const Value& value : whole->values) {
    if (value.kind == ValueKind::kParam && value.role == ParamRole::kNormMean) {
      statistics.insert(value.name);
    }
  }
  const std::vector<std::string> names = ParamNames(*whole), folded_names = ParamNames(*folded);
  if (statistics.empty() || HasAny(names, statistics, file)) return false;
  std::set<std::string> biases(folded_names.begin(), folded_names.end());
  for (const std::string& name : names) biases.erase(name);
  return HasAny(folded_names, biases, file);
}

std::optional<ModelSpec> FindFit(const WeightsFile& file, const ModelSpec& likely) {
  if (file.entries().size() > kMostTensors) return std::nullopt;
  if (auto fit = FitOf(file, {.name = likely.name, .width = likely.width})) return fit;
  for (const ZooEntry& entry : Zoo()) {
    if (auto fit = FitOf(file, {.name = entry.name})) return fit;
    if (entry.default_width == 0) continue;
    for (const double width : kWidths) {
      if (auto fit = FitOf(file, {.name = entry.name, .width = width})) return fit;
    }
  }
  return std::nullopt;
}

std::string DescribeFile(const WeightsFile& file, const ModelSpec& asked) {
  constexpr size_t kShown = 3;
  std::vector<std::string> names;
  for (const WeightsEntry& entry : file.entries()) {
    if (names.size() == kShown) {
      names.push_back("...");
      break;
    }
    names.push_back(absl::StrCat(OneLine(entry.name), " [", absl::StrJoin(entry.shape, ","), "]"));
  }
  const std::optional<ModelSpec> fit = FindFit(file, asked);
  return absl::StrCat("the file has ", file.entries().size(), " tensors (",
                      absl::StrJoin(names, ", "), ") and fits ",
                      fit ? Flags(*fit) : "no model of the zoo");
}

}  // namespace pocketune
