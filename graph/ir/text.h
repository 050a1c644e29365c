// The text form of a graph; its grammar is in docs/ir.md.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "graph/ir/graph.h"

namespace pocketune {

struct PrintOptions {
  bool locs = false;       // where in the model each node comes from
  bool checksums = false;  // of the data of parameters and constants; the data is never printed
};

// One line per value that no node makes and one per node, numbered densely in order of appearance.
// The graph must be structurally sound (ids in range). Print(*Parse(Print(g))) == Print(g), but for
// checksums: text brings no data back.
std::string Print(const Graph& graph, const PrintOptions& options = {});

// Builds the graph that `text` says, with all `data` null. Takes text from anywhere: every operand
// is defined before its use, op arity and attributes are checked and stated types are the inferred
// ones; the laws of its stage are Verify's. Errors: kInvalidArgument, one line "line N: ...".
absl::StatusOr<Graph> Parse(std::string_view text);

// " {act=relu, stride=[2,2]}", without what has its default value; "" if that is all.
std::string AttrsText(OpKind op, const Attrs& attrs);

const char* NameOf(ParamRole role);
const char* NameOf(Section section);
const char* NameOf(Act act);
const char* NameOf(ValueKind kind);
const char* NameOf(PortRole role);
const char* NameOf(ParamLayout layout);

}  // namespace pocketune
