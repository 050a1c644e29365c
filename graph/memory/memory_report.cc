#include "graph/memory/memory_report.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/memory/liveness.h"
#include "nlohmann/json.hpp"

namespace pocketune {
namespace {

struct Row {
  Buffer buffer;
  int64_t offset = 0;
  std::string name;
};

std::string NameOf(const Graph& graph, const Buffer& buffer) {
  const bool scratch = buffer.scratch_of != kNone;
  const NodeId producer = scratch ? buffer.scratch_of : graph.value(buffer.root).producer;
  if (!scratch && !graph.value(buffer.root).name.empty()) return graph.value(buffer.root).name;
  const Node& node = graph.nodes[producer];
  std::string name = absl::StrCat(node.info().name, "#", producer);
  if (!node.loc.empty()) absl::StrAppend(&name, " ", node.loc);
  if (scratch) return absl::StrCat("scratch of ", name);
  const int result = graph.value(buffer.root).result_index;
  if (result > 0) absl::StrAppend(&name, " result ", result);
  return name;
}

std::vector<Row> RowsOf(const Graph& graph, const Liveness& live) {
  std::vector<Row> rows;
  for (const Buffer& buffer : live.buffers) {
    const int64_t offset = buffer.root != kNone ? graph.offsets[buffer.root]
                                                : graph.nodes[buffer.scratch_of].scratch_offset;
    rows.push_back({buffer, offset, NameOf(graph, buffer)});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.offset < b.offset; });
  return rows;
}

int PeakStepOf(const Liveness& live) {
  const auto peak = std::max_element(live.live_bytes.begin(), live.live_bytes.end());
  return static_cast<int>(peak - live.live_bytes.begin());
}

nlohmann::json PhasesOf(const Graph& graph) {
  nlohmann::json phases = nlohmann::json::array();
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (n > 0 && graph.nodes[n].phase == graph.nodes[n - 1].phase) {
      phases.back()["last"] = n;
    } else {
      phases.push_back({{"phase", NameOf(graph.nodes[n].phase)}, {"first", n}, {"last", n}});
    }
  }
  return phases;
}

}  // namespace

std::string MemoryMapText(const Graph& graph) {
  const Liveness live = LivenessOf(graph);
  std::string text = absl::StrCat("arena ", graph.arena_bytes, " bytes, lower bound ",
                                  live.lower_bound_bytes, " at step ", PeakStepOf(live), "\n");
  for (const Row& row : RowsOf(graph, live)) {
    absl::StrAppend(&text, "[", row.buffer.first, ",", row.buffer.last, "] ", row.offset, " ",
                    row.buffer.bytes, " ", row.name, "\n");
  }
  return text;
}

std::string MemoryMapJson(const Graph& graph) {
  const Liveness live = LivenessOf(graph);
  nlohmann::json json = {
      {"arena_bytes", graph.arena_bytes},  {"lower_bound_bytes", live.lower_bound_bytes},
      {"peak_step", PeakStepOf(live)},     {"phases", PhasesOf(graph)},
      {"live_bytes", live.live_bytes},     {"steps", nlohmann::json::array()},
      {"buffers", nlohmann::json::array()}};
  for (const Node& node : graph.nodes) {
    json["steps"].push_back({{"op", node.info().name}, {"loc", node.loc}});
  }
  for (const Row& row : RowsOf(graph, live)) {
    json["buffers"].push_back({{"name", row.name},
                               {"first", row.buffer.first},
                               {"last", row.buffer.last},
                               {"offset", row.offset},
                               {"bytes", row.buffer.bytes},
                               {"scratch", row.buffer.scratch_of != kNone}});
  }
  // Names may come from a file of somebody else's: what is not UTF-8 is replaced, not thrown at.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace pocketune
