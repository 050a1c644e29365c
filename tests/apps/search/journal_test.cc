#include "apps/search/journal.h"

#include <gtest/gtest.h>

#include <algorithm>
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

// Whichever byte it is: the end of a line, too, costs the line that it ends and not the next.
TEST_F(JournalTest, ADamagedByteCostsTheRecordThatItIsInAlone) {
  Fill();
  const std::vector<uint8_t> whole = ReadBytes(path_);
  const auto second = std::find(whole.begin() + sizeof(kHeader), whole.end(), '\n') + 1;
  for (const int flip : {1, 0x80, 0xff}) {
    for (auto at = whole.begin() + sizeof(kHeader); at + 1 < whole.end(); ++at) {
      SCOPED_TRACE(testing::Message() << at - whole.begin() << " ^ " << flip);
      std::vector<uint8_t> bytes = whole;
      bytes[static_cast<size_t>(at - whole.begin())] ^= static_cast<uint8_t>(flip);
      WriteBytes(path_, bytes);
      const absl::StatusOr<Journal> journal = Open();
      ASSERT_TRUE(journal.ok()) << journal.status();
      EXPECT_EQ(journal->size(), 1u);
      EXPECT_NE(journal->Find(at < second ? "biases:3" : "head"), nullptr);
      EXPECT_NE(journal->damage().find("1 line is damaged or cut short"), std::string::npos)
          << journal->damage();
    }
  }
}

// What a crash of the machine may leave behind the last whole line.
struct DamagedTail {
  const char* name;
  std::string bytes;
};

class JournalTailTest : public JournalTest, public testing::WithParamInterface<DamagedTail> {};

TEST_P(JournalTailTest, ADamagedTailCostsNothingOfWhatStandsBeforeIt) {
  Fill();
  const std::vector<uint8_t> whole = ReadBytes(path_);
  std::vector<uint8_t> bytes = whole;
  bytes.insert(bytes.end(), GetParam().bytes.begin(), GetParam().bytes.end());
  WriteBytes(path_, bytes);
  {
    absl::StatusOr<Journal> journal = Open();
    ASSERT_TRUE(journal.ok()) << journal.status();
    EXPECT_EQ(journal->size(), 2u);
    EXPECT_NE(journal->damage().find("the first is line 4"), std::string::npos)
        << journal->damage();
    ASSERT_TRUE(journal->Add("weights:7", {0.5, 0.75, 3}).ok());
  }
  const absl::StatusOr<Journal> journal = Open();
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ(journal->size(), 3u);
  ASSERT_NE(journal->Find("weights:7"), nullptr);
  EXPECT_EQ(journal->Find("weights:7")->step_ms, 3);
}

INSTANTIATE_TEST_SUITE_P(
    Tails, JournalTailTest,
    testing::Values(DamagedTail{"AZero", std::string(1, '\0')},
                    DamagedTail{"ManyZeros", std::string(5000, '\0')},
                    DamagedTail{"ALineOfZeros", std::string(70, '\0') + "\n"},
                    DamagedTail{"AnEmptyLine", "\n"}, DamagedTail{"TwoEmptyLines", "\n\n"},
                    DamagedTail{"HalfALine", "0123456789abcdef {\"trial\""},
                    DamagedTail{"ALineOfAnotherSum", "0123456789abcdef {\"trial\":\"x\"}\n"},
                    DamagedTail{"NoText", "\xff\xfe\n"},
                    DamagedTail{"HalfALineAndZeros",
                                "0123456789abcdef {\"step" + std::string(40, '\0')}),
    [](const auto& info) { return info.param.name; });

TEST_F(JournalTest, TwoSearchesDoNotShareOne) {
  absl::StatusOr<Journal> first = Open();
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(first->Add("head", {0.75, 0.5, 1.5}).ok());
  const std::vector<uint8_t> before = ReadBytes(path_);
  for (const char* header : {kHeader, "{\"search\":2}"}) {
    const absl::StatusOr<Journal> second = Open(header);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(ExitCodeOf(second.status()), ExitCode::kLocked) << second.status();
  }
  EXPECT_EQ(ReadBytes(path_), before);
}

TEST_F(JournalTest, LeavesAFileThatIsNoJournalAsItIs) {
  for (const std::string text : {"my notes", "my notes\n", "\x89PNG\r\n", "{\"step\":1}\n"}) {
    SCOPED_TRACE(text);
    const std::vector<uint8_t> bytes(text.begin(), text.end());
    WriteBytes(path_, bytes);
    const absl::StatusOr<Journal> journal = Open();
    ASSERT_FALSE(journal.ok());
    EXPECT_EQ(ExitCodeOf(journal.status()), ExitCode::kUsage) << journal.status();
    EXPECT_EQ(ReadBytes(path_), bytes);
  }
}

TEST_F(JournalTest, SaysWhereItCannotWrite) {
  const absl::StatusOr<Journal> journal = Journal::Open(temp_.File("none/trials"), kHeader);
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(ExitCodeOf(journal.status()), ExitCode::kIo);
}

}  // namespace
}  // namespace pocketune::test
