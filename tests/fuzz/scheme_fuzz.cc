// Update schemes: the JSON form, and the same bytes as a short name.
#include "absl/strings/match.h"
#include "graph/ir/verifier.h"
#include "sparse_bp/scheme.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/random_graph.h"

namespace pocketune::fuzz {

std::vector<std::string> Seeds() {
  return {R"({"default":"none","params":[{"pattern":"*","update":"all"}]})",
          R"({"default": "bias", "params": [{"pattern": "p?.*", "update": "none"},
                                            {"pattern": "p[0-4]*.*ias*", "update": "bias"}]})",
          R"json({"model": "random3", "default": "channels(0.5,random:7)"})json",
          "full",
          "bias:2",
          "blocks:3",
          "last:2",
          "channels(0.25,first)",
          "p1.*=bias,p?.weight=channels(0.5)",
          "mcunetv3:mcunet-5fps-49",
          "pockengine"};
}

}  // namespace pocketune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketune;
  using namespace pocketune::fuzz;
  static const Graph model = test::RandomGraph(3).Take();
  const std::string text(View(data, size));
  absl::StatusOr<UpdateScheme> scheme = ParseSchemeJson(text, "scheme.json");
  RequireGoodError(scheme.status());
  if (!scheme.ok() && !absl::EndsWith(text, ".json")) {
    scheme = ParseScheme(text);
    RequireGoodError(scheme.status());
  }
  if (!scheme.ok()) return 0;
  Graph graph = model;
  const absl::Status applied = ApplyScheme(graph, *scheme);
  RequireGoodError(applied);
  Require(!applied.ok() || CountTrainableParams(graph) > 0, "a scheme that applies trains");
  Require(!applied.ok() || Verify(graph).ok(), "a scheme that applies leaves a valid graph");
  Accept();
  return 0;
}
