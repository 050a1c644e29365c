#include "graph/passes/kernel_choice.h"

#include "absl/strings/str_cat.h"
#include "graph/ir/text.h"
#include "graph/memory/kernel_query.h"
#include "graph/passes/pass.h"

namespace pocketune {

std::string ChoiceKey(const KernelQuery& query) {
  std::string key = absl::StrCat(InfoOf(query.op).name, "(");
  for (size_t i = 0; i < query.operands.size(); ++i) {
    absl::StrAppend(&key, i == 0 ? "" : ", ",
                    (query.constant_operands >> i & 1) != 0 ? "const " : "",
                    ToString(query.operands[i]));
  }
  return absl::StrCat(key, ")", AttrsText(query.op, *query.attrs));
}

absl::StatusOr<const KernelInfo*> ChooseKernel(KernelTable table, const KernelChoices* choices,
                                               const KernelQuery& query) {
  if (choices == nullptr) return SelectKernel(table, query);
  const std::string key = ChoiceKey(query);
  const auto choice = choices->find(key);
  if (choice == choices->end()) return SelectKernel(table, query);
  const KernelInfo* kernel = FindKernel(table, choice->second);
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
  const absl::StatusOr<const KernelInfo*> chosen =
      ChooseKernel(context.kernels, context.choices, asked.query);
  if (!chosen.ok()) return chosen.status();
  const KernelInfo* kernel = *chosen;
  if (kernel == nullptr) return false;
  node.kernel = kernel->name;
  node.scratch_bytes = kernel->scratch_bytes == nullptr ? 0 : kernel->scratch_bytes(asked.query);
  return true;
}

}  // namespace pocketune
