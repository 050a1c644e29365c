#include "graph/ir/outcome_bridge.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace pocketune {
namespace {

constexpr char kDetail[] = "pocketune/detail";

}  // namespace

absl::Status WithDetail(absl::Status status, int64_t detail) {
  status.SetPayload(kDetail, absl::Cord(absl::StrCat(detail)));
  return status;
}

int64_t DetailOf(const absl::Status& status) {
  int64_t detail = 0;
  const auto payload = status.GetPayload(kDetail);
  const bool found = payload.has_value() && absl::SimpleAtoi(std::string(*payload), &detail);
  return found ? detail : 0;
}

}  // namespace pocketune
