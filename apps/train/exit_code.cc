#include "apps/train/exit_code.h"

#include "absl/strings/cord.h"
#include "engine/base/status_text.h"

namespace pocketune {
namespace {
constexpr char kPayload[] = "pocketune/exit";
}  // namespace

absl::Status Fail(ExitCode code, const std::string& message) {
  return As(code, absl::UnknownError(message));
}

absl::Status As(ExitCode code, absl::Status status) {
  if (status.ok() || status.GetPayload(kPayload).has_value()) return status;
  if (absl::IsUnavailable(status)) code = ExitCode::kIo;
  if (absl::IsInternal(status)) code = ExitCode::kInternal;
  if (absl::IsResourceExhausted(status)) code = ExitCode::kLocked;
  status.SetPayload(kPayload, absl::Cord(std::to_string(static_cast<int>(code))));
  return status;
}

absl::Status As(ExitCode code, const std::string& where, const Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.code() == StatusCode::kResourceExhausted) code = ExitCode::kLocked;
  return As(code,
            absl::Status(static_cast<absl::StatusCode>(status.code()), TextOf(where, status)));
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return ExitCode::kDone;
  const auto payload = status.GetPayload(kPayload);
  if (!payload.has_value()) return ExitCode::kInternal;
  return static_cast<ExitCode>(std::stoi(std::string(*payload)));
}

}  // namespace pocketune
