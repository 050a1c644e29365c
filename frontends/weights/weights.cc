#include "frontends/weights/weights.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/one_line.h"
#include "frontends/weights/names.h"

namespace pocketune {
namespace {

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::vector<int64_t> WithoutTrailingOnes(std::vector<int64_t> shape) {
  while (!shape.empty() && shape.back() == 1) shape.pop_back();
  return shape;
}

std::string Text(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

// Calls fn(index in PyTorch's layout, index in ours) for each element.
template <typename Fn>
void ForEachPair(const Value& param, const Fn& fn) {
  const Shape& s = param.type.shape;
  int64_t ours = 0;
  if (param.layout == ParamLayout::kConv) {  // O,H,W,I <-> O,I,H,W
    for (int64_t o = 0; o < s[0]; ++o) {
      for (int64_t hw = 0; hw < s[1] * s[2]; ++hw) {
        for (int64_t i = 0; i < s[3]; ++i) fn((o * s[3] + i) * s[1] * s[2] + hw, ours++);
      }
    }
  } else if (param.layout == ParamLayout::kDepthwise) {  // H,W,C <-> C,1,H,W
    for (int64_t hw = 0; hw < s[0] * s[1]; ++hw) {
      for (int64_t c = 0; c < s[2]; ++c) fn(c * s[0] * s[1] + hw, ours++);
    }
  } else {
    for (; ours < s.elems(); ++ours) fn(ours, ours);
  }
}

}  // namespace

std::vector<int64_t> TorchShape(const Value& param) {
  const Shape& s = param.type.shape;
  if (param.layout == ParamLayout::kConv) return {s[0], s[3], s[1], s[2]};
  if (param.layout == ParamLayout::kDepthwise) return {s[2], 1, s[0], s[1]};
  return {s.dims().begin(), s.dims().end()};
}

std::vector<float> FromTorch(const Value& param, const std::vector<float>& values) {
  std::vector<float> out(values.size());
  ForEachPair(param, [&](int64_t torch, int64_t ours) { out[ours] = values[torch]; });
  return out;
}

std::vector<float> ToTorch(const Value& param, const std::vector<float>& values) {
  std::vector<float> out(values.size());
  ForEachPair(param, [&](int64_t torch, int64_t ours) { out[torch] = values[ours]; });
  return out;
}

std::vector<std::string> WeightsReport::Lines() const {
  std::vector<std::string> lines = {absl::StrCat(loaded, " tensors loaded")};
  if (!naming.empty()) lines.push_back(absl::StrCat("under other names, ", naming));
  if (!left_out.empty()) {
    lines.push_back(absl::StrCat("their names without \"", OneLine(left_out), "\""));
  }
  const auto list = [&](const char* what, const std::vector<std::string>& names) {
    if (names.empty()) return;
    const size_t shown = std::min<size_t>(names.size(), 5);
    lines.push_back(absl::StrCat(
        names.size(), " ", what, ": ",
        absl::StrJoin(names.begin(), names.begin() + static_cast<int64_t>(shown), ", "),
        shown < names.size() ? ", ..." : ""));
  };
  list("missing", missing);
  list("mis-shaped", misshaped);
  list("extra, left out", extra);
  if (new_classifier) {
    lines.push_back("the classifier has another number of classes: initialised anew");
  }
  return lines;
}

namespace {

// NaN, infinity, or beyond what f32 holds.
int64_t CountNotFinite(const std::vector<float>& values) {
  return std::count_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
}

// Tensors with values that no training gives, in one line.
class BadValues {
 public:
  void Check(const std::string& name, const Value& param, const std::vector<float>& values) {
    int64_t bad = CountNotFinite(values);
    const char* what = "values that are not finite";
    if (bad == 0 && param.role == ParamRole::kNormVar) {
      bad = std::count_if(values.begin(), values.end(), [](float v) { return v < 0; });
      what = "variances below 0";
    }
    if (bad == 0 || ++tensors_ > 1) return;
    first_ = absl::StrCat("tensor ", OneLine(name), " has ", what, " (got ", bad, " of ",
                          values.size(), ", want none)");
  }

  absl::Status status() const {
    if (tensors_ == 0) return absl::OkStatus();
    const int64_t more = tensors_ - 1;
    return absl::InvalidArgumentError(
        absl::StrCat(first_, more == 0   ? ""
                             : more == 1 ? ", and so has 1 more tensor"
                                         : absl::StrCat(", and so have ", more, " more tensors")));
  }

 private:
  int64_t tensors_ = 0;
  std::string first_;
};

absl::Status CheckComplete(const WeightsReport& report, size_t params) {
  const bool missing = report.misshaped.empty();
  const std::vector<std::string>& names = missing ? report.missing : report.misshaped;
  if (names.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("weights: ", names.size(), " of ", params, " tensors ",
                   missing ? "missing" : "of another shape", ", the first is ", names[0]));
}

}  // namespace

std::vector<std::string> ParamNames(const Graph& graph) {
  std::vector<std::string> names;
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kParam) names.push_back(value.name);
  }
  return names;
}

bool SameShape(const Value& param, const WeightsEntry& entry) {
  return WithoutTrailingOnes(entry.shape) == WithoutTrailingOnes(TorchShape(param));
}

absl::Status LoadWeights(Graph& graph, const WeightsFile& file, WeightsReport* report) {
  *report = {};
  const std::vector<std::string> params = ParamNames(graph);
  const absl::StatusOr<NameMatch> match = MatchNames(params, file);
  if (!match.ok()) return match.status();
  report->left_out = match->left_out;
  if (match->naming != nullptr) {
    const Naming& naming = *match->naming;
    report->naming = absl::StrCat(naming.owner, *naming.note == 0 ? "" : ": ", naming.note);
  }
  std::set<std::string> used;
  BadValues bad;
  for (Value& value : graph.values) {
    if (value.kind != ValueKind::kParam) continue;
    const auto found = match->entries.find(value.name);
    if (found == match->entries.end()) {
      report->missing.push_back(value.name);
      continue;
    }
    const WeightsEntry& entry = *found->second;
    used.insert(entry.name);
    if (!SameShape(value, entry)) {
      if (value.section == Section::kClassifier) {
        report->new_classifier = true;
        if (!entry.shape.empty()) report->classes = entry.shape[0];
      } else {
        report->misshaped.push_back(absl::StrCat(value.name, " (got ", Text(entry.shape), ", want ",
                                                 Text(TorchShape(value)), ")"));
      }
      continue;
    }
    absl::StatusOr<std::vector<float>> values = file.Read(entry);
    if (!values.ok()) return values.status();
    bad.Check(entry.name, value, *values);
    value.data = std::make_shared<const std::vector<float>>(FromTorch(value, *values));
    ++report->loaded;
  }
  for (const WeightsEntry& entry : file.entries()) {
    if (used.count(entry.name) == 0 && !EndsWith(entry.name, "num_batches_tracked")) {
      report->extra.push_back(OneLine(entry.name));
    }
  }
  if (report->new_classifier) {  // its bias goes with its weight
    for (Value& value : graph.values) {
      if (value.kind == ValueKind::kParam && value.section == Section::kClassifier) {
        value.data = nullptr;
      }
    }
  }
  if (absl::Status complete = CheckComplete(*report, params.size()); !complete.ok())
    return complete;
  return bad.status();
}

}  // namespace pocketune
