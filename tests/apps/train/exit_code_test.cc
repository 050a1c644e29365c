#include "apps/train/exit_code.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace pocketune {
namespace {

TEST(ExitCodeTest, TravelsWithTheStatus) {
  for (const ExitCode code :
       {ExitCode::kUsage, ExitCode::kModel, ExitCode::kData, ExitCode::kCheckpoint, ExitCode::kIo,
        ExitCode::kBudget, ExitCode::kNumerics, ExitCode::kLocked, ExitCode::kInternal,
        ExitCode::kInterrupted, ExitCode::kTerminated}) {
    const absl::Status status = Fail(code, "why");
    EXPECT_EQ(ExitCodeOf(status), code);
    EXPECT_EQ(status.message(), "why");
  }
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kDone);
}

TEST(ExitCodeTest, TheFirstCodeStays) {
  const absl::Status status = As(ExitCode::kUsage, As(ExitCode::kData, absl::DataLossError("x")));
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_TRUE(As(ExitCode::kData, absl::OkStatus()).ok());
}

TEST(ExitCodeTest, FailedReadsAndBugsHaveTheirOwn) {
  EXPECT_EQ(ExitCodeOf(As(ExitCode::kData, absl::UnavailableError("x"))), ExitCode::kIo);
  EXPECT_EQ(ExitCodeOf(As(ExitCode::kData, absl::InternalError("x"))), ExitCode::kInternal);
  EXPECT_EQ(ExitCodeOf(As(ExitCode::kData, absl::ResourceExhaustedError("x"))), ExitCode::kLocked);
  EXPECT_EQ(ExitCodeOf(absl::DataLossError("nobody gave it a code")), ExitCode::kInternal);
}

TEST(ExitCodeTest, ErrorsOfTheRuntimeSayWhereAndWhy) {
  const absl::Status io =
      As(ExitCode::kModel, "a.ptplan", Status(StatusCode::kUnavailable, "reading failed", EIO));
  EXPECT_EQ(ExitCodeOf(io), ExitCode::kIo);
  EXPECT_EQ(io.message(), "a.ptplan: reading failed: Input/output error");
  const absl::Status bad =
      As(ExitCode::kModel, "a.ptplan", Status(StatusCode::kDataLoss, "damaged", 7));
  EXPECT_EQ(ExitCodeOf(bad), ExitCode::kModel);
  EXPECT_EQ(bad.message(), "a.ptplan: damaged (7)");
  const absl::Status memory =
      As(ExitCode::kModel, "a.ptplan", Status(StatusCode::kResourceExhausted, "no memory"));
  EXPECT_EQ(ExitCodeOf(memory), ExitCode::kLocked);
  EXPECT_TRUE(As(ExitCode::kModel, "a.ptplan", OkStatus()).ok());
}

TEST(ExitCodeTest, ErrorsOfTheCompilerKeepTheirMessage) {
  const absl::Status status =
      As(ExitCode::kUsage, Outcome<int>(StatusCode::kInvalidArgument, "scheme: unknown"));
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kUsage);
  EXPECT_EQ(status.message(), "scheme: unknown");
}

}  // namespace
}  // namespace pocketune
