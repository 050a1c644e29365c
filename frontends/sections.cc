#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "frontends/builder.h"

namespace pocketune {
namespace {

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// "features.4.conv.0.weight" -> "features.4"; "" where there is no number before the last dot.
std::string BlockPath(const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '.');
  std::string path;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    path += (i == 0 ? "" : ".") + parts[i];
    if (IsNumber(parts[i])) return path;
  }
  return "";
}

std::string ModuleOf(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(0, dot);
}

// Of the layer that makes the value: the nearest one behind it that has a weight.
std::string PredictingModule(const Graph& graph, ValueId value) {
  while (value != kNone && graph.value(value).producer != kNone) {
    const Node& node = graph.nodes[graph.value(value).producer];
    for (const ValueId id : node.operands) {
      const Value& operand = graph.value(id);
      if (operand.kind == ValueKind::kParam && operand.role == ParamRole::kWeight) {
        return ModuleOf(operand.name);
      }
    }
    value = node.operands.empty() ? kNone : node.operands[0];
  }
  return "";
}

}  // namespace

void InferSections(Graph& graph, ValueId prediction) {
  const std::string classifier = PredictingModule(graph, prediction);
  std::map<std::string, int> blocks;
  for (Value& value : graph.values) {
    if (value.kind != ValueKind::kParam) continue;
    if (ModuleOf(value.name) == classifier) {
      value.section = Section::kClassifier;
      continue;
    }
    const std::string path = BlockPath(value.name);
    if (path.empty()) {
      value.section = blocks.empty() ? Section::kStem : Section::kTail;
      continue;
    }
    value.section = Section::kBlock;
    value.block = blocks.emplace(path, static_cast<int>(blocks.size())).first->second;
  }
}

}  // namespace pocketune
