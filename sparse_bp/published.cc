#include "sparse_bp/published.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "graph/ir/text_distance.h"
#include "sparse_bp/layers.h"

namespace pocketune {
namespace {

struct WeightRow {
  int layer;
  double ratio;
};

struct McunetV3Row {
  const char* model;
  int layers;
  const char* label;
  int biases;
  std::vector<WeightRow> weights;
};

constexpr char kMbv2[] = "mbv2-w0.35";
constexpr char kMcunet[] = "mcunet-5fps";
constexpr char kProxyless[] = "proxyless-w0.3";

const std::vector<McunetV3Row>& Table() {
  static const std::vector<McunetV3Row> kTable = {
      {kMbv2,
       51,
       "49",
       16,
       {{36, 1}, {39, 1}, {40, 0}, {41, .25}, {42, .125}, {45, .125}, {48, .125}, {49, .125}}},
      {kMbv2,
       51,
       "73",
       20,
       {{32, .125}, {33, .5}, {36, .5}, {39, 1}, {41, .25}, {42, .125}, {45, .125}, {48, 1}}},
      {kMbv2,
       51,
       "99",
       25,
       {{27, 1}, {30, 1}, {33, 1}, {36, 1}, {39, 1}, {42, .125}, {45, .5}, {48, 1}}},
      {kMbv2,
       51,
       "123",
       31,
       {{27, 1}, {30, 1}, {33, 1}, {36, 1}, {39, 1}, {42, .5}, {45, 1}, {48, 1}}},
      {kMbv2,
       51,
       "138",
       34,
       {{27, 1}, {30, 1}, {33, 1}, {36, 1}, {39, 1}, {42, 1}, {45, 1}, {48, 1}}},
      {kMcunet, 42, "49", 20, {{23, 0}, {24, .25}, {27, .5}, {30, .5}, {33, 0}, {39, 0}}},
      {kMcunet, 42, "74", 21, {{21, 1}, {23, 0}, {24, 1}, {26, 0}, {27, .5}, {30, 1}}},
      {kMcunet, 42, "99", 22, {{21, 1}, {24, 1}, {27, 1}, {30, 1}, {36, .125}, {39, .25}}},
      {kMcunet, 42, "124", 24, {{21, .25}, {24, 1}, {27, 1}, {30, 1}, {33, .5}, {39, .5}}},
      {kMcunet, 42, "148", 23, {{21, 1}, {24, 1}, {27, 1}, {30, 1}, {36, 1}, {39, .5}}},
      {kProxyless,
       60,
       "49",
       21,
       {{39, .25}, {42, 1}, {44, 0}, {45, 1}, {50, 0}, {51, .125}, {54, .25}, {57, .25}}},
      {kProxyless,
       60,
       "74",
       28,
       {{33, .5}, {36, .25}, {39, 1}, {42, 1}, {45, 1}, {51, .5}, {54, .25}, {57, .5}}},
      {kProxyless,
       60,
       "98",
       25,
       {{36, 1}, {39, .5}, {42, 1}, {45, 1}, {48, .25}, {51, .5}, {54, 1}, {57, 1}}},
      {kProxyless,
       60,
       "120",
       32,
       {{36, 1}, {39, 1}, {42, 1}, {45, 1}, {48, .5}, {51, 1}, {54, 1}, {57, 1}}},
      {kProxyless,
       60,
       "148",
       45,
       {{36, 1}, {39, 1}, {42, 1}, {45, 1}, {48, 1}, {51, 1}, {54, 1}, {57, 1}}},
  };
  return kTable;
}

std::string NameOf(const McunetV3Row& row) { return absl::StrCat(row.model, "-", row.label); }

// Blocks are counted from 0.
struct PockEngineRow {
  const char* model;
  int blocks;       // of the model
  int bias_blocks;  // the last so many
  int first, last;  // those whose first 1x1 convolution learns
};

constexpr PockEngineRow kPockEngine[] = {
    {"mobilenet_v2", 17, 7, 10, 16}, {kMbv2, 17, 7, 10, 16},       {"resnet50", 16, 8, 8, 15},
    {kMcunet, 14, 7, 8, 11},         {"mcunet-in1", 14, 7, 8, 11},
};

bool IsPointwise(const Graph& graph, const Layer& layer) {
  const Shape& shape = graph.shape(layer.weight);
  return graph.nodes[layer.node].op == OpKind::kConv2d && shape[1] == 1 && shape[2] == 1;
}

std::vector<LayerUpdate> UpdatesOf(const PockEngineRow& row, const Graph& forward) {
  const std::vector<Layer> layers = LayersOf(forward);
  std::vector<LayerUpdate> updates(layers.size());
  int next = row.first;  // the block whose 1x1 convolution is looked for
  for (size_t i = 0; i < layers.size(); ++i) {
    const Value& weight = forward.value(layers[i].weight);
    if (weight.section != Section::kBlock) continue;
    updates[i].bias = weight.block >= row.blocks - row.bias_blocks;
    if (weight.block < next || weight.block > row.last || !IsPointwise(forward, layers[i]))
      continue;
    updates[i].weight = Update::kAll;
    next = weight.block + 1;
  }
  return updates;
}

}  // namespace

absl::StatusOr<McunetV3Scheme> FindMcunetV3Scheme(const std::string& name) {
  for (const McunetV3Row& row : Table()) {
    if (name != NameOf(row)) continue;
    McunetV3Scheme scheme;
    scheme.model = row.model;
    scheme.layers.resize(static_cast<size_t>(row.layers));
    for (int i = row.layers - row.biases; i < row.layers; ++i) scheme.layers[i].bias = true;
    for (const auto& [layer, ratio] : row.weights) {
      scheme.layers[layer].weight = Update::Channels(ratio);
    }
    return scheme;
  }
  return absl::InvalidArgumentError(absl::StrCat("none of that name is published (got ",
                                                 absl::Utf8SafeCEscape(name), ", nearest is ",
                                                 Nearest(name, McunetV3SchemeNames()), ")"));
}

std::vector<std::string> McunetV3SchemeNames() {
  std::vector<std::string> names;
  for (const McunetV3Row& row : Table()) names.push_back(NameOf(row));
  return names;
}

absl::StatusOr<std::vector<LayerUpdate>> PockEngineScheme(const Graph& forward) {
  std::string known;
  for (const PockEngineRow& row : kPockEngine) {
    if (forward.name == row.model) return UpdatesOf(row, forward);
    absl::StrAppend(&known, known.empty() ? "" : ", ", row.model);
  }
  return absl::InvalidArgumentError(absl::StrCat("none is published for this model (got ",
                                                 absl::Utf8SafeCEscape(forward.name), ", want ",
                                                 known, ")"));
}

}  // namespace pocketune
