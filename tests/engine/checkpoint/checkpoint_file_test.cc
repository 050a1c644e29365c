#include "engine/checkpoint/checkpoint_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "engine/base/checksum.h"
#include "tests/support/tiny_session.h"

namespace pocketune {
namespace {

using test::TinySession;
using Bytes = std::vector<uint8_t>;

void FixChecksums(Bytes& file) {
  CheckpointHeader header;
  std::memcpy(&header, file.data(), sizeof(header));
  header.body_checksum = Checksum(file.data() + sizeof(header), file.size() - sizeof(header));
  header.header_checksum = Checksum(&header, offsetof(CheckpointHeader, header_checksum));
  std::memcpy(file.data(), &header, sizeof(header));
}

TEST(CheckpointTest, ContinuesToTheSameBits) {
  TinySession straight, saved, restored;
  straight.Train(7);
  saved.Train(4);
  const std::string path = saved.folder().File("c");
  ASSERT_TRUE(saved->Save(path.c_str(), "position 4").ok());
  std::string user;
  ASSERT_TRUE(restored->Restore(path.c_str(), &user).ok());
  EXPECT_EQ(user, "position 4");
  EXPECT_EQ(restored->step(), 4u);
  restored.Train(3);
  EXPECT_EQ(restored.Params(), straight.Params());
  EXPECT_EQ(restored->step(), straight->step());
}

TEST(CheckpointTest, IsTheSameFileForTheSameState) {
  TinySession a, b;
  a.Train(2);
  b.Train(2);
  ASSERT_TRUE(a->Save(a.folder().File("c").c_str(), "x").ok());
  ASSERT_TRUE(b->Save(b.folder().File("c").c_str(), "x").ok());
  EXPECT_EQ(test::ReadBytes(a.folder().File("c")), test::ReadBytes(b.folder().File("c")));
}

TEST(CheckpointTest, KeepsUserBytesOfAnyKindAndRefusesTooMany) {
  TinySession session;
  const std::string path = session.folder().File("c");
  for (const std::string& bytes :
       {std::string(), std::string("\0\n\xff", 3), std::string(100003, 'u')}) {
    std::string read = "old";
    ASSERT_TRUE(session->Save(path.c_str(), bytes).ok());
    ASSERT_TRUE(session->Restore(path.c_str(), &read).ok());
    EXPECT_EQ(read, bytes);
  }
  EXPECT_EQ(session->Save(path.c_str(), std::string((16 << 20) + 1, 'u')).code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(session->Restore(path.c_str(), nullptr).ok());
}

TEST(CheckpointTest, IsOfOneModelAndItsWeights) {
  TinySession session;
  test::PlanSpec other_spec = test::TinyPlan();
  other_spec.segment[0] += 1;
  TinySession other(test::ReferenceOptions(), other_spec);
  const std::string path = session.folder().File("c");
  ASSERT_TRUE(session->Save(path.c_str(), "").ok());
  const std::vector<float> params = other.Params();
  EXPECT_EQ(other->Restore(path.c_str(), nullptr).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(other.Params(), params);
}

// A checkpoint of a trained session, and a fresh session that must stay as it is.
class DamagedCheckpointTest : public ::testing::Test {
 protected:
  DamagedCheckpointTest() {
    TinySession trained;
    trained.Train(3);
    EXPECT_TRUE(trained->Save(path_.c_str(), "user").ok());
    file_ = test::ReadBytes(path_);
  }

  bool Restores() {
    std::string user = "none";
    const bool ok = session_->Restore(path_.c_str(), &user).ok();
    const bool unchanged = user == "none" && session_->step() == 0 && session_.Params() == params_;
    EXPECT_NE(ok, unchanged);
    return ok;
  }

  TinySession session_;
  const std::vector<float> params_ = session_.Params();
  const std::string path_ = session_.folder().File("c");
  Bytes file_;
};

TEST_F(DamagedCheckpointTest, IsRefusedAtEveryLength) {
  for (size_t n = file_.size(); n-- > 0;) {
    ASSERT_EQ(truncate(path_.c_str(), off_t(n)), 0);
    EXPECT_FALSE(Restores()) << n;
  }
  for (int i = 0; i < 70; ++i) {
    file_.push_back(0);
    test::WriteBytes(path_, file_);
    EXPECT_FALSE(Restores()) << file_.size();
  }
}

TEST_F(DamagedCheckpointTest, IsRefusedWhicheverByteIsChanged) {
  const int fd = open(path_.c_str(), O_WRONLY);
  ASSERT_GE(fd, 0);
  int accepted = 0;
  for (size_t i = 0; i < file_.size(); ++i) {
    for (const uint8_t flip : {0x01, 0x10, 0x80, 0xFF}) {
      const uint8_t changed = file_[i] ^ flip;
      ASSERT_EQ(pwrite(fd, &changed, 1, off_t(i)), 1);
      accepted += Restores();
    }
    ASSERT_EQ(pwrite(fd, &file_[i], 1, off_t(i)), 1);
  }
  close(fd);
  EXPECT_EQ(accepted, 0);
  EXPECT_TRUE(Restores());
}

// Behind right checksums only the state itself and what no reader looks at can be changed.
TEST_F(DamagedCheckpointTest, DoesNoHarmBehindRightChecksums) {
  CheckpointHeader header;
  std::memcpy(&header, file_.data(), sizeof(header));
  int accepted = 0, mutants = 0;
  for (size_t i = 0; i < header.data_offset; ++i) {
    for (const uint8_t flip : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF}) {
      Bytes changed = file_;
      changed[i] ^= flip;
      FixChecksums(changed);
      test::WriteBytes(path_, changed);
      TinySession session;
      accepted += session->Restore(path_.c_str(), nullptr).ok();
      ++mutants;
    }
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, mutants / 3);
}

TEST_F(DamagedCheckpointTest, OfANewerVersionIsNotCalledDamaged) {
  file_[offsetof(CheckpointHeader, version)] = 3;
  FixChecksums(file_);
  test::WriteBytes(path_, file_);
  EXPECT_EQ(session_->Restore(path_.c_str(), nullptr).code(), StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace pocketune
