#include "graph/passes/pass_manager.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/clock.h"
#include "graph/base/status_macros.h"
#include "graph/ir/text.h"
#include "graph/ir/verifier.h"

namespace pocketune {
namespace {

absl::StatusOr<const PassInfo*> FindPass(const std::string& name) {
  for (const PassInfo& pass : AllPasses()) {
    if (name == pass.name) return &pass;
  }
  return absl::NotFoundError(absl::StrCat("passes: there is none called \"", name, "\""));
}

absl::Status Check(const Graph& graph, const PassInfo& pass) {
  if (const absl::Status status = Verify(graph); !status.ok()) {
    return absl::InternalError(
        absl::StrCat("pass ", pass.name, " broke the graph: ", status.message()));
  }
#ifndef NDEBUG
  const std::string text = Print(graph);
  const absl::StatusOr<Graph> back = Parse(text);
  if (!back.ok() || Print(*back) != text) {
    return absl::InternalError(absl::StrCat("pass ", pass.name, ": the text form is ambiguous"));
  }
#endif
  return absl::OkStatus();
}

absl::Status Dump(const Graph& graph, const std::string& folder, size_t number,
                  const PassInfo& pass) {
  const std::string path = absl::StrFormat("%s/%02d_%s.ptir", folder, number, pass.name);
  std::ofstream file(path);
  file << Print(graph, {.locs = true, .checksums = true});
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat(path, ": cannot be written"));
  return absl::OkStatus();
}

absl::Status RunPass(Graph& graph, PassContext& context, const PassInfo& pass) {
  const char* folder = std::getenv("POCKETUNE_DUMP_IR");
  const std::string before = folder != nullptr ? Print(graph) : "";
  PassRecord record;
  record.pass = pass.name;
  record.nodes_before = static_cast<int>(graph.nodes.size());
  const double start = NowSeconds();
  PT_TRY(pass.run(graph, context));
  record.ms = 1e3 * (NowSeconds() - start);
  record.nodes_after = static_cast<int>(graph.nodes.size());
  context.records.push_back(std::move(record));
  PT_TRY(Check(graph, pass));
  if (folder == nullptr || Print(graph) == before) return absl::OkStatus();
  return Dump(graph, folder, context.records.size(), pass);
}

}  // namespace

const std::vector<PassInfo>& AllPasses() {
  static const std::vector<PassInfo> passes = {
#define PT_PASS(Name, text, summary) {text, summary, Run##Name},
#include "graph/passes/passes.def"
#undef PT_PASS
  };
  return passes;
}

absl::Status RunPasses(Graph& graph, PassContext& context, const std::vector<std::string>& names) {
  for (const std::string& name : context.disabled) {
    if (const auto pass = FindPass(name); !pass.ok()) return pass.status();
  }
  for (const std::string& name : names) {
    PT_TRY_ASSIGN(const auto pass, FindPass(name));
    const auto& disabled = context.disabled;
    if (std::find(disabled.begin(), disabled.end(), name) != disabled.end()) continue;
    PT_TRY(RunPass(graph, context, *pass));
  }
  return absl::OkStatus();
}

absl::Status OptimizeForward(Graph& graph, PassContext& context) {
  return RunPasses(graph, context,
                   {
                       // First, so that the others see one form of each thing.
                       "canonicalize",
                       // Before autodiff: gradients follow from the folded form.
                       "fold_batchnorm",
                       // What folding left constant needs no gradient rule.
                       "fold_constants",
                   });
}

absl::Status OptimizeGraph(Graph& graph, PassContext& context) {
  PT_TRY(
      RunPasses(graph, context,
                {
                    // Gradient rules emit the plain form of sums, scalings and reshapes.
                    "canonicalize",
                    // Seeds of gradients, and what of the backward pass nothing trainable reaches.
                    "fold_constants",
                    // Rules recompute what the forward pass or another rule has; before fusion,
                    // which would make twins differ.
                    "cse",
                    // After autodiff, which alone decides who reads a pre-activation.
                    "fuse_epilogue",
                    // Needs the activations where fuse_epilogue has put them.
                    "fuse_norm_grad",
                    // Gates that were fused read the result no longer.
                    "recompute_norm",
                    // Before masks, which pay where nobody keeps a tensor to its end.
                    "keep_slices",
                    // What the passes above left without readers.
                    "dce",
                    // All readers are known: who else needs a value that a gate asks.
                    "save_masks",
                    // What masks did not free is kept as a whole.
                    "pick_late",
                }));
  graph.stage = Stage::kOptimized;
  return RunPasses(graph, context,
                   {
                       // Scratch counts as live memory in what follows.
                       "select_kernels",
                       // All dependences are known.
                       "reorder",
                   });
}

absl::Status NarrowSaved(Graph& graph, PassContext& context) {
  return RunPasses(graph, context,
                   {
                       // The order tells what is alive across the border of the two passes.
                       "narrow_saved",
                       // Gradients that lost their gates have other scratch.
                       "select_kernels",
                       // What is unpacked should not wait for its reader.
                       "reorder",
                   });
}

absl::Status ScheduleGraph(Graph& graph, PassContext& context) {
  if (context.live_target_bytes != kNoLiveTarget) {
    PT_TRY(RunPasses(graph, context,
                     {
                         // What is alive when depends on the order and on scratch.
                         "rematerialize",
                         // Runs of the forward pass that only second runs have taken the place of.
                         "dce",
                         // Second runs want the kernels of the first ones.
                         "select_kernels",
                         // They may stand better elsewhere.
                         "reorder",
                     }));
  }
  PT_TRY(RunPasses(graph, context,
                   {
                       // All passes above know normalizations in one piece.
                       "split_norm",
                       // The pieces have none yet.
                       "select_kernels",
                       // Keeps to the order, but for what must leave a loop.
                       "loop_batch",
                       // Whether an operand dies at its reader depends on the order.
                       "mark_inplace",
                   }));
  graph.stage = Stage::kScheduled;
  // Last: places depend on lifetimes, and lifetimes on all of the above.
  return RunPasses(graph, context, {"plan_memory"});
}

absl::Status PlanGraph(Graph& graph, PassContext& context) {
  const absl::Status status = OptimizeGraph(graph, context);
  return status.ok() ? ScheduleGraph(graph, context) : status;
}

}  // namespace pocketune
