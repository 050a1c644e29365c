#include "frontends/weights/weights.h"

#include <algorithm>
#include <memory>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

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
void ForEachPair(const Shape& s, const Fn& fn) {
  int64_t ours = 0;
  if (s.rank() == 4) {  // O,H,W,I <-> O,I,H,W
    for (int64_t o = 0; o < s[0]; ++o) {
      for (int64_t hw = 0; hw < s[1] * s[2]; ++hw) {
        for (int64_t i = 0; i < s[3]; ++i) fn((o * s[3] + i) * s[1] * s[2] + hw, ours++);
      }
    }
  } else if (s.rank() == 3) {  // H,W,C <-> C,1,H,W
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
  if (s.rank() == 4) return {s[0], s[3], s[1], s[2]};
  if (s.rank() == 3) return {s[2], 1, s[0], s[1]};
  return {s.dims().begin(), s.dims().end()};
}

std::vector<float> FromTorch(const Value& param, const std::vector<float>& values) {
  std::vector<float> out(values.size());
  ForEachPair(param.type.shape, [&](int64_t torch, int64_t ours) { out[ours] = values[torch]; });
  return out;
}

std::vector<float> ToTorch(const Value& param, const std::vector<float>& values) {
  std::vector<float> out(values.size());
  ForEachPair(param.type.shape, [&](int64_t torch, int64_t ours) { out[torch] = values[ours]; });
  return out;
}

std::vector<std::string> WeightsReport::Lines() const {
  std::vector<std::string> lines = {absl::StrCat(loaded, " tensors loaded")};
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

bool HasFoldedNorm(const SafetensorsFile& file) {
  bool bias_of_convolution = false;
  for (const SafetensorsEntry& entry : file.entries()) {
    if (EndsWith(entry.name, "running_mean")) return false;
    if (EndsWith(entry.name, ".weight") && entry.shape.size() == 4 &&
        entry.shape[2] * entry.shape[3] > 1) {
      const std::string bias = entry.name.substr(0, entry.name.size() - 6) + "bias";
      bias_of_convolution = bias_of_convolution || file.Find(bias) != nullptr;
    }
  }
  return bias_of_convolution;
}

absl::Status LoadWeights(Graph& graph, const SafetensorsFile& file, WeightsReport* report) {
  *report = {};
  std::set<std::string> used;
  for (Value& value : graph.values) {
    if (value.kind != ValueKind::kParam) continue;
    const SafetensorsEntry* entry = file.Find(value.name);
    if (entry == nullptr) {
      report->missing.push_back(value.name);
      continue;
    }
    used.insert(value.name);
    const std::vector<int64_t> want = TorchShape(value);
    if (WithoutTrailingOnes(entry->shape) != WithoutTrailingOnes(want)) {
      if (value.section == Section::kClassifier) {
        report->new_classifier = true;
      } else {
        report->misshaped.push_back(
            absl::StrCat(value.name, " (got ", Text(entry->shape), ", want ", Text(want), ")"));
      }
      continue;
    }
    absl::StatusOr<std::vector<float>> values = file.Read(*entry);
    if (!values.ok()) return values.status();
    value.data = std::make_shared<const std::vector<float>>(FromTorch(value, *values));
    ++report->loaded;
  }
  for (const SafetensorsEntry& entry : file.entries()) {
    if (used.count(entry.name) == 0 && !EndsWith(entry.name, "num_batches_tracked")) {
      report->extra.push_back(absl::Utf8SafeCEscape(entry.name));
    }
  }
  if (report->new_classifier) {  // its bias goes with its weight
    for (Value& value : graph.values) {
      if (value.kind == ValueKind::kParam && value.section == Section::kClassifier) {
        value.data = nullptr;
      }
    }
  }
  if (!report->missing.empty() || !report->misshaped.empty()) {
    const bool missing = report->misshaped.empty();
    const std::vector<std::string>& names = missing ? report->missing : report->misshaped;
    return absl::InvalidArgumentError(absl::StrCat("weights: ", names.size(), " tensors ",
                                                   missing ? "are missing" : "have another shape",
                                                   ", the first is ", names[0]));
  }
  return absl::OkStatus();
}

}  // namespace pocketune
