#include "graph/passes/kernel_choice.h"

#include "absl/strings/str_cat.h"
#include "graph/ir/text.h"

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

}  // namespace pocketune
