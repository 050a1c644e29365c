#include "graph/passes/kernel_choice.h"

#include "absl/strings/str_cat.h"
#include "graph/ir/text.h"
#include "graph/memory/kernel_query.h"
#include "graph/passes/pass.h"

namespace pocketune {
namespace {

std::string StateKey(const KernelInfo& kernel, KernelQuery query) {
  std::vector<TensorType> types(query.operands.begin(), query.operands.end());
  for (size_t i = 0; i < types.size(); ++i) {
    const bool constant = (query.constant_operands >> i & 1) != 0;
    if (!constant && types[i].shape.rank() > 0) types[i].shape[0] = 0;
  }
  query.operands = types;
  return absl::StrCat(kernel.name, " ", ChoiceKey(query));
}

// As SelectKernel, but for rows whose state would be one more.
const KernelInfo* FirstThatServes(const PassContext& context, const KernelQuery& query) {
  for (const KernelInfo& row : context.kernels) {
    if (row.op != query.op || (row.supports != nullptr && !row.supports(query))) continue;
    const bool one_more = row.prepare != nullptr && context.states != nullptr &&
                          context.states->count(StateKey(row, query)) == 0;
    if (!one_more) return &row;
  }
  return nullptr;
}

}  // namespace

KernelStateSet StatesOf(const Graph& graph, const PassContext& context) {
  KernelStateSet states;
  const std::vector<const BatchLoop*> loop_of = LoopsOf(graph);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const KernelInfo* kernel = FindKernel(context.kernels, graph.nodes[n].kernel);
    if (kernel == nullptr || kernel->prepare == nullptr) continue;
    const NodeQuery asked(graph, graph.nodes[n], context.isa, context.slots,
                          loop_of[n] == nullptr ? 1 : loop_of[n]->parts);
    states.insert(StateKey(*kernel, asked.query));
  }
  return states;
}

std::string ChoiceKey(const KernelQuery& query) {
  std::string key = absl::StrCat(InfoOf(query.op).name, "(");
  for (size_t i = 0; i < query.operands.size(); ++i) {
    absl::StrAppend(&key, i == 0 ? "" : ", ",
                    (query.constant_operands >> i & 1) != 0 ? "const " : "",
                    ToString(query.operands[i]));
  }
  return absl::StrCat(key, ")", AttrsText(query.op, *query.attrs));
}

absl::StatusOr<const KernelInfo*> ChooseKernel(const PassContext& context,
                                               const KernelQuery& query) {
  if (context.choices == nullptr) return FirstThatServes(context, query);
  const std::string key = ChoiceKey(query);
  const auto choice = context.choices->find(key);
  if (choice == context.choices->end()) return FirstThatServes(context, query);
  const KernelInfo* kernel = FindKernel(context.kernels, choice->second);
  if (kernel == nullptr || kernel->op != query.op ||
      (kernel->supports != nullptr && !kernel->supports(query))) {
    return absl::InvalidArgumentError(
        absl::StrCat("tuning: kernel ", choice->second, " does not serve ", key));
  }
  return kernel;
}

absl::StatusOr<bool> SetKernel(const Graph& graph, Node& node, const PassContext& context,
                               int parts) {
  const NodeQuery asked(graph, node, context.isa, context.slots, parts);
  const absl::StatusOr<const KernelInfo*> chosen = ChooseKernel(context, asked.query);
  if (!chosen.ok()) return chosen.status();
  const KernelInfo* kernel = *chosen;
  if (kernel == nullptr) return false;
  node.kernel = kernel->name;
  node.scratch_bytes = kernel->scratch_bytes == nullptr ? 0 : kernel->scratch_bytes(asked.query);
  return true;
}

}  // namespace pocketune
