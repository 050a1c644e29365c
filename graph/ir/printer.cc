#include <charconv>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/checksum.h"
#include "engine/ops/implied.h"
#include "graph/ir/text.h"

namespace pocketune {
namespace {

// A number, flag or name of an attribute, one overload per type.
std::string Text(bool field) { return field ? "true" : "false"; }
std::string Text(Act field) { return NameOf(field); }
std::string Text(int32_t field) { return absl::StrCat(field); }
std::string Text(uint32_t field) { return absl::StrCat(field); }
std::string Text(int64_t field) { return absl::StrCat(field); }
std::string Text(double field) {
  char buffer[32];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof(buffer), field).ptr);
}

struct Field {
  const char* name;
  bool list;
  std::vector<std::string> parts;  // one where it is no list
};

template <class T>
Field MakeField(const char* name, const T& field) {
  return {name, false, {Text(field)}};
}
template <int N>
Field MakeField(const char* name, const int32_t (&field)[N]) {
  Field out = {name, true, {}};
  for (const int32_t n : field) out.parts.push_back(Text(n));
  return out;
}
Field MakeField(const char* name, const Shape& field) {
  Field out = {name, true, {}};
  for (const int64_t d : field.dims()) out.parts.push_back(Text(d));
  return out;
}

std::vector<Field> FieldsOf(const Attrs& attrs) {
  std::vector<Field> fields;
  std::visit(
      [&](const auto& a) {
        a.Visit(a, [&](const char* name, const auto& field) {
          fields.push_back(MakeField(name, field));
        });
      },
      attrs);
  return fields;
}

std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text), "\"");
}

class Printer {
 public:
  Printer(const Graph& graph, const PrintOptions& options)
      : graph_(graph), options_(options), number_(graph.values.size(), kNone) {}

  std::string Run() {
    absl::StrAppend(&out_, "pocketune-ir 1\ngraph ", Quoted(graph_.name),
                    " stage=", NameOf(graph_.stage));
    if (graph_.stage == Stage::kPlanned) absl::StrAppend(&out_, " arena=", graph_.arena_bytes);
    out_ += " {\n";
    for (size_t i = 0; i < graph_.values.size(); ++i) {
      if (graph_.values[i].kind != ValueKind::kResult) PrintDeclaration(static_cast<ValueId>(i));
    }
    for (const Node& node : graph_.nodes) PrintNode(node);
    for (const BatchLoop& loop : graph_.loops) {
      absl::StrAppend(&out_, "  loop ", loop.first, " ", loop.last, " part ", loop.parts, "\n");
    }
    PrintReturn();
    return out_ + "}\n";
  }

 private:
  std::string Ref(ValueId id) const { return absl::StrCat("%", number_[id]); }

  // "%4: f32[2,3]", with the next free number.
  void Define(ValueId id) {
    number_[id] = next_++;
    absl::StrAppend(&out_, Ref(id), ": ", ToString(graph_.type(id)));
    if (graph_.value(id).parts > 1) absl::StrAppend(&out_, " part ", graph_.value(id).parts);
  }

  void PrintOffset(ValueId id) {
    if (graph_.stage != Stage::kPlanned || graph_.offsets[id] == kNone) return;
    absl::StrAppend(&out_, " @", graph_.offsets[id], "+", graph_.value(id).bytes());
  }

  void PrintDeclaration(ValueId id) {
    const Value& value = graph_.value(id);
    out_ += "  ";
    Define(id);
    absl::StrAppend(&out_, " ", NameOf(value.kind), " ", Quoted(value.name));
    if (value.kind == ValueKind::kInput && value.port != ImpliedInputRole(value.name)) {
      absl::StrAppend(&out_, " ", NameOf(value.port));
    }
    if (value.kind == ValueKind::kParam) {
      absl::StrAppend(&out_, " ", NameOf(value.role));
      const bool is_weight = value.role == ParamRole::kWeight;
      if (value.layout != ImpliedLayout(is_weight, value.type.shape.rank())) {
        absl::StrAppend(&out_, " ", NameOf(value.layout));
      }
      absl::StrAppend(&out_, " ", NameOf(value.section));
      if (value.section == Section::kBlock) absl::StrAppend(&out_, " ", value.block);
      if (value.trainable) out_ += " train";
      if (value.slices != nullptr) {
        absl::StrAppend(&out_, " slices ", value.slices->axis, " [",
                        absl::StrJoin(value.slices->numbers, ","), "]");
      }
    }
    if (options_.checksums && value.data != nullptr) {
      absl::StrAppend(&out_, " data=",
                      absl::Hex(Checksum(value.data->data(), value.data->size() * sizeof(float)),
                                absl::kZeroPad16));
    }
    PrintOffset(id);
    out_ += "\n";
  }

  void PrintNode(const Node& node) {
    for (size_t i = 0; i < node.results.size(); ++i) {
      const ValueId id = node.results[i];
      out_ += i == 0 ? "  " : ", ";
      Define(id);
      if (!graph_.value(id).name.empty())
        absl::StrAppend(&out_, " ", Quoted(graph_.value(id).name));
      PrintOffset(id);
    }
    absl::StrAppend(&out_, " = ", node.info().name, "(");
    for (size_t i = 0; i < node.operands.size(); ++i) {
      absl::StrAppend(&out_, i == 0 ? "" : ", ", Ref(node.operands[i]));
    }
    absl::StrAppend(&out_, ")", AttrsText(node.op, node.attrs), " ", NameOf(node.phase));
    if (node.in_place && !node.info().Has(kView)) out_ += " in_place";
    if (!node.kernel.empty()) absl::StrAppend(&out_, " kernel ", Quoted(node.kernel));
    if (node.scratch_bytes != 0) {
      out_ += " scratch ";
      if (node.scratch_offset != kNone) absl::StrAppend(&out_, "@", node.scratch_offset, "+");
      absl::StrAppend(&out_, node.scratch_bytes);
    }
    if (options_.locs && !node.loc.empty()) absl::StrAppend(&out_, " loc ", Quoted(node.loc));
    out_ += "\n";
  }

  void PrintReturn() {
    if (graph_.outputs.empty()) return;
    for (size_t i = 0; i < graph_.outputs.size(); ++i) {
      const Output& output = graph_.outputs[i];
      absl::StrAppend(&out_, i == 0 ? "  return " : ", ", Ref(output.value), " ",
                      Quoted(output.name));
      if (output.role != ImpliedOutputRole(output.name)) {
        absl::StrAppend(&out_, " ", NameOf(output.role));
      }
    }
    out_ += "\n";
  }

  const Graph& graph_;
  const PrintOptions& options_;
  std::vector<int32_t> number_;  // of each value in the text
  int32_t next_ = 0;
  std::string out_;
};

}  // namespace

std::string AttrsText(OpKind op, const Attrs& attrs) {
  std::string text;
  std::vector<Field> fields = FieldsOf(attrs);
  const std::vector<Field> standard = FieldsOf(DefaultAttrs(op));
  for (size_t i = 0; i < fields.size(); ++i) {
    std::vector<std::string>& parts = fields[i].parts;
    const std::vector<std::string>& defaults = standard[i].parts;
    if (parts == defaults) continue;
    // A list of one number per dimension ends with the last that is not the default.
    if (parts.size() == Shape::kMaxRank && defaults.size() == parts.size()) {
      while (parts.back() == defaults[parts.size() - 1]) parts.pop_back();
    }
    const std::string values = absl::StrJoin(parts, ",");
    absl::StrAppend(&text, text.empty() ? "" : ", ", fields[i].name, "=",
                    fields[i].list ? "[" + values + "]" : values);
  }
  return text.empty() ? text : " {" + text + "}";
}

std::string Print(const Graph& graph, const PrintOptions& options) {
  return Printer(graph, options).Run();
}

const char* NameOf(ParamRole role) {
  static constexpr const char* kNames[] = {"weight",    "bias",     "norm_scale", "norm_shift",
                                           "norm_mean", "norm_var", "state"};
  return kNames[static_cast<int>(role)];
}

const char* NameOf(Section section) {
  static constexpr const char* kNames[] = {"stem", "block", "tail", "classifier"};
  return kNames[static_cast<int>(section)];
}

const char* NameOf(Act act) {
  static constexpr const char* kNames[] = {"none",         "relu", "relu6",   "hard_swish",
                                           "hard_sigmoid", "silu", "sigmoid", "tanh"};
  return kNames[static_cast<int>(act)];
}

const char* NameOf(ValueKind kind) {
  static constexpr const char* kNames[] = {"input", "param", "const", "result"};
  return kNames[static_cast<int>(kind)];
}

const char* NameOf(PortRole role) {
  static constexpr const char* kNames[] = {"data",       "label", "sample_weight",
                                           "prediction", "loss",  "other"};
  return kNames[static_cast<int>(role)];
}

const char* NameOf(ParamLayout layout) {
  static constexpr const char* kNames[] = {"rows", "conv", "depthwise"};
  return kNames[static_cast<int>(layout)];
}

}  // namespace pocketune
