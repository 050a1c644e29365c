#include "apps/search/journal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "apps/train/exit_code.h"
#include "tests/support/temp_folder.h"

namespace pocketune::test {
namespace {

constexpr char kHeader[] = "{\"search\":1}";

class JournalTest : public testing::Test {
 protected:
  absl::StatusOr<Journal> Open(const std::string& header = kHeader) {
    return Journal::Open(path_, header);
  }
  void Fill() {
    absl::StatusOr<Journal> journal = Open();
    ASSERT_TRUE(journal.ok()) << journal.status();
    ASSERT_TRUE(journal->Add("head", {0.75, 0.5, 1.5}).ok());
    ASSERT_TRUE(journal->Add("biases:3", {0.1234567890123456, 0.25, 2.5}).ok());
  }

  TempFolder temp_;
  const std::string path_ = temp_.File("trials");
};

TEST_F(JournalTest, RemembersTrialsToTheLastBit) {
  Fill();
  const absl::StatusOr<Journal> journal = Open();
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ(journal->size(), 2u);
  ASSERT_NE(journal->Find("biases:3"), nullptr);
  EXPECT_EQ(journal->Find("biases:3")->val_loss, 0.1234567890123456);
  EXPECT_EQ(journal->Find("biases:3")->val_accuracy, 0.25);
  EXPECT_EQ(journal->Find("biases:3")->step_ms, 2.5);
  EXPECT_EQ(journal->Find("biases:6"), nullptr);
}

TEST_F(JournalTest, RemembersThatATrialDiverged) {
  {
    absl::StatusOr<Journal> journal = Open();
    ASSERT_TRUE(journal.ok());
    ASSERT_TRUE(journal->Add("head", {std::numeric_limits<double>::infinity(), 0, 1}).ok());
  }
  const absl::StatusOr<Journal> journal = Open();
  ASSERT_TRUE(journal.ok());
  EXPECT_TRUE(std::isinf(journal->Find("head")->val_loss));
}

// A kill may cut the last line anywhere; all before it stay, and what follows is sound.
TEST_F(JournalTest, DropsALineThatWasCutShort) {
  Fill();
  const std::vector<uint8_t> whole = ReadBytes(path_);
  size_t last_line = whole.size() - 1;
  while (whole[last_line - 1] != '\n') --last_line;
  for (size_t bytes = last_line; bytes < whole.size(); ++bytes) {
    SCOPED_TRACE(bytes);
    WriteBytes(path_, {whole.begin(), whole.begin() + bytes});
    {
      absl::StatusOr<Journal> journal = Open();
      ASSERT_TRUE(journal.ok()) << journal.status();
      EXPECT_EQ(journal->size(), 1u);
      ASSERT_TRUE(journal->Add("biases:3", {0.1234567890123456, 0.25, 2.5}).ok());
    }
    EXPECT_EQ(ReadBytes(path_), whole);
  }
}

TEST_F(JournalTest, StartsAnewWhereNotEvenTheHeaderIsWhole) {
  WriteBytes(path_, {'{', '"', 's'});
  const absl::StatusOr<Journal> journal = Open();
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ(journal->size(), 0u);
}

TEST_F(JournalTest, RefusesAnotherSearch) {
  Fill();
  const std::vector<uint8_t> before = ReadBytes(path_);
  const absl::StatusOr<Journal> journal = Open("{\"search\":2}");
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(ExitCodeOf(journal.status()), ExitCode::kUsage);
  EXPECT_EQ(ReadBytes(path_), before);
}

TEST_F(JournalTest, RefusesADamagedLine) {
  Fill();
  const std::vector<uint8_t> whole = ReadBytes(path_);
  for (size_t at = sizeof(kHeader); at + 1 < whole.size(); ++at) {
    SCOPED_TRACE(at);
    std::vector<uint8_t> bytes = whole;
    bytes[at] ^= 1;
    WriteBytes(path_, bytes);
    const absl::StatusOr<Journal> journal = Open();
    ASSERT_FALSE(journal.ok());
    EXPECT_EQ(ExitCodeOf(journal.status()), ExitCode::kData) << journal.status();
  }
}

TEST_F(JournalTest, SaysWhereItCannotWrite) {
  const absl::StatusOr<Journal> journal = Journal::Open(temp_.File("none/trials"), kHeader);
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(ExitCodeOf(journal.status()), ExitCode::kIo);
}

}  // namespace
}  // namespace pocketune::test
