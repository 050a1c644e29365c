#include <gtest/gtest.h>

#include <cmath>

#include "engine/base/checksum.h"
#include "pocketune/train.h"

namespace pocketune {
namespace {

TrainState Sample() {
  TrainState state;
  state.step = 1234567890123;
  state.lr_factor = 0.125;
  state.rollbacks = 3;
  state.epoch_loss_sum = 17.25;
  state.epoch_steps = 9;
  state.loss_first = 2.5;
  state.loss_last = 0.1;
  state.best_accuracy = 0.75;
  state.best_loss = 0.5;
  state.best_epoch = 4;
  state.epochs_without_gain = 2;
  state.rollback_limit = 6;
  state.done = true;
  state.batch = 32;
  return state;
}

std::string WithChecksum(std::string bytes) {
  const uint64_t sum = Checksum(bytes.data(), bytes.size() - 8);
  for (int i = 0; i < 8; ++i) bytes[bytes.size() - 8 + i] = static_cast<char>(sum >> (8 * i));
  return bytes;
}

TEST(TrainStateTest, ComesBackAsItWas) {
  const std::string bytes = EncodeTrainState(Sample());
  EXPECT_EQ(bytes.size(), 136u);
  const Result<TrainState> back = DecodeTrainState(bytes);
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_TRUE(back.value().restored);
  EXPECT_EQ(EncodeTrainState(back.value()), bytes);
  EXPECT_EQ(back.value().step, 1234567890123);
  EXPECT_EQ(back.value().best_loss, 0.5);
  EXPECT_TRUE(DecodeTrainState(EncodeTrainState({})).ok());
}

TEST(TrainStateTest, OfVersion1HasNoBatch) {
  std::string bytes = EncodeTrainState(Sample());
  bytes[8] = 1;
  bytes.erase(bytes.size() - 16, 8);
  const Result<TrainState> old = DecodeTrainState(WithChecksum(bytes));
  ASSERT_TRUE(old.ok()) << old.status().message();
  EXPECT_EQ(old.value().batch, 0);
  EXPECT_EQ(old.value().step, 1234567890123);
  EXPECT_TRUE(old.value().done);
}

TEST(TrainStateTest, ADamagedOneIsRefusedWhateverTheByte) {
  const std::string bytes = EncodeTrainState(Sample());
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {1, 128, 255}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      EXPECT_FALSE(DecodeTrainState(damaged).ok()) << i;
    }
    EXPECT_FALSE(DecodeTrainState(bytes.substr(0, i)).ok()) << i;
  }
  EXPECT_FALSE(DecodeTrainState(bytes + " ").ok());
  EXPECT_FALSE(DecodeTrainState("{\"step\":3}").ok());
}

TEST(TrainStateTest, NumbersThatCannotBeAreRefusedBehindAGoodChecksum) {
  const auto code = [](void (*spoil)(TrainState*)) {
    TrainState state = Sample();
    spoil(&state);
    return DecodeTrainState(EncodeTrainState(state)).status().code();
  };
  EXPECT_EQ(code([](TrainState*) {}), StatusCode::kOk);
  EXPECT_EQ(code([](TrainState* s) { s->step = -1; }), StatusCode::kDataLoss);
  EXPECT_EQ(code([](TrainState* s) { s->lr_factor = 2; }), StatusCode::kDataLoss);
  EXPECT_EQ(code([](TrainState* s) { s->loss_last = NAN; }), StatusCode::kDataLoss);
  EXPECT_EQ(code([](TrainState* s) { s->epoch_steps = s->step + 1; }), StatusCode::kDataLoss);
  EXPECT_EQ(code([](TrainState* s) { s->best_epoch = -2; }), StatusCode::kDataLoss);
  std::string bytes = EncodeTrainState(Sample());
  bytes[14 * 8] = 2;  // done
  EXPECT_EQ(DecodeTrainState(WithChecksum(bytes)).status().code(), StatusCode::kDataLoss);
}

TEST(TrainStateTest, ANewerVersionIsSaidToBeOne) {
  std::string bytes = EncodeTrainState(Sample());
  bytes[8] = 3;
  EXPECT_EQ(DecodeTrainState(WithChecksum(bytes)).status().code(), StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace pocketune
