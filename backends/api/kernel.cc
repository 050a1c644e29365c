#include "backends/api/kernel.h"

namespace pocketune {

const KernelInfo* SelectKernel(KernelTable table, const KernelQuery& query) {
  for (const KernelInfo& row : table) {
    if (row.op == query.op && (row.supports == nullptr || row.supports(query))) return &row;
  }
  return nullptr;
}

const KernelInfo* FindKernel(KernelTable table, std::string_view name) {
  for (const KernelInfo& row : table) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

}  // namespace pocketune
