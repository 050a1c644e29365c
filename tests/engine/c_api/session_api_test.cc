// What a program does with the C library when it does nothing wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/engine/c_api/c_session.h"

namespace pocketune {
namespace {

using test::CSession;
using test::Said;
using test::SmallPlan;
using ::testing::HasSubstr;

constexpr size_t kLogits = test::kBatch * test::kClasses;

std::vector<float> Logits(ptn_session* session, const char* schedule) {
  std::vector<float> logits(kLogits);
  EXPECT_EQ(ptn_session_read(session, schedule, "logits", logits.data(), logits.size()), PTN_OK)
      << Said();
  return logits;
}

// The same steps by the C++ interface.
std::vector<float> LossesInCpp(test::Batch& batch, int steps) {
  const std::string& plan = SmallPlan();
  const std::span bytes(reinterpret_cast<const uint8_t*>(plan.data()), plan.size());
  Result<std::unique_ptr<Session>> session = OpenCpuSession(bytes);
  EXPECT_TRUE(session.ok()) << session.status().message();
  const auto bind = [&](const char* name, const auto& values) {
    EXPECT_TRUE(session.value()->Bind(name, values.data(), int64_t(values.size() * 4)).ok());
  };
  bind("image", batch.image);
  bind("label", batch.label);
  bind("weight", batch.weight);
  std::vector<float> losses(static_cast<size_t>(steps));
  for (float& loss : losses) EXPECT_TRUE(session.value()->TrainStep(0.05, &loss).ok());
  return losses;
}

TEST(CApiTest, TheLibraryIsOfTheHeadersVersion) {
  EXPECT_EQ(ptn_version(), uint32_t{PTN_VERSION});
  const std::string version = std::to_string(PTN_VERSION_MAJOR) + "." +
                              std::to_string(PTN_VERSION_MINOR) + "." +
                              std::to_string(PTN_VERSION_PATCH);
  EXPECT_EQ(version, POCKETUNE_VERSION);
}

TEST(CApiTest, StatusesHaveNames) {
  EXPECT_STREQ(ptn_status_name(PTN_OK), "ok");
  EXPECT_STREQ(ptn_status_name(PTN_DATA_LOSS), "data loss");
  EXPECT_STREQ(ptn_status_name(-7), "unknown status");
}

TEST(CApiTest, TrainsAPlanInMemoryToTheBitsOfTheCppInterface) {
  CSession session;
  ASSERT_EQ(session.status(), PTN_OK) << Said();
  const std::vector<float> losses = session.Train(5);
  EXPECT_LT(losses.back(), losses.front());
  EXPECT_EQ(losses, LossesInCpp(session.batch(), 5));
  EXPECT_EQ(session.step(), 5u);
}

TEST(CApiTest, OpensAPlanFileAndListsWhatItNeeds) {
  const test::TempFolder folder;
  test::WriteBytes(folder.File("p"), {SmallPlan().begin(), SmallPlan().end()});
  ptn_session* session = nullptr;
  ASSERT_EQ(ptn_session_open(folder.File("p").c_str(), nullptr, &session), PTN_OK) << Said();
  size_t inputs = 0, outputs = 0, nothing = 1;
  ASSERT_EQ(ptn_session_input_count(session, "train", &inputs), PTN_OK);
  ASSERT_EQ(ptn_session_output_count(session, "eval", &outputs), PTN_OK);
  ASSERT_EQ(ptn_session_input_count(session, "nap", &nothing), PTN_OK);
  EXPECT_EQ(inputs, 3u);
  EXPECT_EQ(outputs, 2u);
  EXPECT_EQ(nothing, 0u);
  ptn_tensor_info info = {.struct_size = sizeof(info)};
  ASSERT_EQ(ptn_session_input(session, "train", 1, &info), PTN_OK) << Said();
  EXPECT_STREQ(info.name, "label");
  EXPECT_EQ(info.role, PTN_LABEL);
  EXPECT_EQ(info.dtype, PTN_I32);
  EXPECT_EQ(info.rank, 1);
  EXPECT_EQ(info.dims[0], test::kBatch);
  EXPECT_EQ(info.dims[1], 0);
  EXPECT_EQ(info.bytes, 4 * test::kBatch);
  ASSERT_EQ(ptn_session_output(session, "eval", 0, &info), PTN_OK) << Said();
  EXPECT_STREQ(info.name, "logits");
  EXPECT_EQ(info.role, PTN_PREDICTION);
  EXPECT_EQ(info.dtype, PTN_F32);
  EXPECT_EQ(info.elements, int64_t(kLogits));
  EXPECT_EQ(ptn_session_output(session, "eval", 2, &info), PTN_OUT_OF_RANGE);
  EXPECT_THAT(Said(), HasSubstr("got index 2, want below 2"));
  EXPECT_EQ(ptn_session_free(session), PTN_OK);
}

TEST(CApiTest, PredictsWithoutLabelsWhatAnEvaluationGives) {
  CSession session;
  session.Train(2);
  float loss = 0;
  ASSERT_EQ(ptn_session_eval_step(session.get(), &loss), PTN_OK) << Said();
  EXPECT_GT(loss, 0);
  const std::vector<float> logits = Logits(session.get(), "eval");
  ASSERT_EQ(ptn_session_bind(session.get(), "label", nullptr, 0), PTN_OK) << Said();
  EXPECT_EQ(ptn_session_eval_step(session.get(), nullptr), PTN_FAILED_PRECONDITION);
  ASSERT_EQ(ptn_session_predict(session.get()), PTN_OK) << Said();
  EXPECT_EQ(Logits(session.get(), "eval"), logits);
}

TEST(CApiTest, PredictsOneSampleOfABatchToTheSameAnswer) {
  CSession session;
  session.Train(2);
  ptn_tensor_info image = {.struct_size = sizeof(image)}, logits = {.struct_size = sizeof(logits)};
  ASSERT_EQ(ptn_session_input(session.get(), "predict", 0, &image), PTN_OK) << Said();
  ASSERT_EQ(ptn_session_output(session.get(), "predict", 0, &logits), PTN_OK) << Said();
  EXPECT_EQ(image.dims[0], 1);
  EXPECT_EQ(logits.elements, test::kClasses);
  ASSERT_EQ(ptn_session_predict(session.get()), PTN_OK) << Said();
  const std::vector<float> all = Logits(session.get(), "eval");
  std::vector<float> one(test::kClasses);
  for (size_t i = 0; i < test::kBatch; ++i) {
    const float* at = session.batch().image.data() + i * static_cast<size_t>(image.elements);
    ASSERT_EQ(ptn_session_bind_in(session.get(), "predict", "image", at, size_t(image.bytes)),
              PTN_OK)
        << Said();
    ASSERT_EQ(ptn_session_predict_in(session.get(), "predict"), PTN_OK) << Said();
    ASSERT_EQ(ptn_session_read(session.get(), "predict", "logits", one.data(), one.size()), PTN_OK)
        << Said();
    for (size_t k = 0; k < one.size(); ++k) EXPECT_NEAR(one[k], all[i * one.size() + k], 1e-5);
  }
  EXPECT_EQ(ptn_session_bind_in(session.get(), "predict", "image", one.data(), 4),
            PTN_INVALID_ARGUMENT);
  EXPECT_THAT(Said(), HasSubstr("image has another size (got 4 bytes, want "));
  EXPECT_EQ(ptn_session_bind_in(session.get(), "nap", "image", one.data(), 4),
            PTN_INVALID_ARGUMENT);
  EXPECT_EQ(ptn_session_predict_in(session.get(), "train"), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(ptn_session_predict_in(session.get(), "nap"), PTN_FAILED_PRECONDITION);
}

TEST(CApiTest, ALossThatNobodyWantsMayBeNull) {
  CSession session;
  EXPECT_EQ(ptn_session_train_step(session.get(), 0.05, nullptr), PTN_OK) << Said();
  EXPECT_EQ(ptn_session_eval_step(session.get(), nullptr), PTN_OK) << Said();
}

TEST(CApiTest, SavesAndRestoresAllThatHasLearnedAndTheUsersBytes) {
  const test::TempFolder folder;
  const std::string path = folder.File("checkpoint");
  CSession session, other;
  session.Train(3);
  const std::vector<float> params = session.Params();
  ASSERT_EQ(ptn_session_save(session.get(), path.c_str(), "a\0b", 3), PTN_OK) << Said();
  const std::vector<float> next = session.Train(2);

  const void* user = &user;
  size_t bytes = 1;
  ASSERT_EQ(ptn_session_user_bytes(other.get(), &user, &bytes), PTN_OK);
  EXPECT_EQ(user, nullptr);
  EXPECT_EQ(bytes, 0u);
  ASSERT_EQ(ptn_session_restore(other.get(), path.c_str()), PTN_OK) << Said();
  EXPECT_EQ(other.Params(), params);
  EXPECT_EQ(other.step(), 3u);
  ASSERT_EQ(ptn_session_user_bytes(other.get(), &user, &bytes), PTN_OK);
  EXPECT_EQ(std::string(static_cast<const char*>(user), bytes), std::string("a\0b", 3));
  EXPECT_EQ(other.Train(2), next);
}

TEST(CApiTest, ReadsAndWritesParameters) {
  CSession session;
  size_t count = 0, learning = 0, frozen = 0, states = 0;
  ASSERT_EQ(ptn_session_param_count(session.get(), &count), PTN_OK);
  for (size_t i = 0; i < count; ++i) {
    ptn_param_info info = {.struct_size = sizeof(info)};
    ASSERT_EQ(ptn_session_param(session.get(), i, &info), PTN_OK) << Said();
    std::vector<float> values(size_t(info.elements), 0.25f), read(values.size()), base(read);
    const ptn_status written =
        ptn_session_write_param(session.get(), info.name, values.data(), values.size());
    EXPECT_EQ(written, info.trainable != 0 ? PTN_OK : PTN_FAILED_PRECONDITION);
    EXPECT_EQ(ptn_session_read_param(session.get(), info.name, read.data(), read.size()), PTN_OK);
    EXPECT_EQ(ptn_session_read_base_param(session.get(), info.name, base.data(), base.size()),
              PTN_OK);
    EXPECT_EQ(read, info.trainable != 0 ? values : base);
    const bool is_filter = info.state == 0 && info.rank > 2;
    EXPECT_EQ(info.layout, !is_filter ? PTN_ROWS : info.rank == 4 ? PTN_CONV : PTN_DEPTHWISE);
    ++(info.state != 0 ? states : info.trainable != 0 ? learning : frozen);
  }
  EXPECT_GT(learning, 0u);
  EXPECT_GT(frozen, 0u);
  EXPECT_GT(states, 0u);
}

TEST(CApiTest, GivesTheFiguresOfThePlan) {
  CSession session({.struct_size = sizeof(ptn_session_options), .threads = 2});
  ptn_memory memory = {.struct_size = sizeof(memory)};
  ASSERT_EQ(ptn_session_memory(session.get(), &memory), PTN_OK) << Said();
  EXPECT_EQ(memory.slots, 2);
  EXPECT_GT(memory.arena_bytes, 0);
  EXPECT_GT(memory.param_bytes, 0);
  EXPECT_GE(memory.predicted_peak_bytes, memory.arena_bytes + memory.param_bytes);
  uint32_t threads = 0;
  ASSERT_EQ(ptn_session_threads(session.get(), &threads), PTN_OK);
  EXPECT_EQ(threads, 2u);
  const char* metadata = nullptr;
  ASSERT_EQ(ptn_session_metadata(session.get(), &metadata), PTN_OK);
  EXPECT_STREQ(metadata, "{}");
  ASSERT_EQ(ptn_session_set_step(session.get(), 41), PTN_OK);
  session.Train(1);
  EXPECT_EQ(session.step(), 42u);
}

TEST(CApiTest, NamesTheTensorThatIsNotFinite) {
  CSession session;
  const char* name = "";
  ASSERT_EQ(ptn_session_find_not_finite(session.get(), &name), PTN_OK);
  EXPECT_EQ(name, nullptr);
  size_t count = 0;
  ASSERT_EQ(ptn_session_param_count(session.get(), &count), PTN_OK);
  ptn_param_info info = {.struct_size = sizeof(info)};
  for (size_t i = 0; i < count && info.trainable == 0; ++i) {
    ASSERT_EQ(ptn_session_param(session.get(), i, &info), PTN_OK);
  }
  std::vector<float> values(size_t(info.elements), 1.0f);
  values.back() = 1.0f / 0.0f;
  ASSERT_EQ(ptn_session_write_param(session.get(), info.name, values.data(), values.size()),
            PTN_OK);
  ASSERT_EQ(ptn_session_find_not_finite(session.get(), &name), PTN_OK);
  EXPECT_STREQ(name, info.name);
}

TEST(CApiTest, SessionsOnOnePoolTrainAndPredictSideBySide) {
  CSession alone;
  const std::vector<float> losses = alone.Train(10);
  ptn_pool_options threads = {.struct_size = sizeof(threads), .threads = 3, .nice = 1};
  ptn_pool* pool = nullptr;
  ASSERT_EQ(ptn_pool_create(&threads, &pool), PTN_OK) << Said();
  uint32_t count = 0;
  ASSERT_EQ(ptn_pool_threads(pool, &count), PTN_OK);
  EXPECT_EQ(count, 3u);
  ptn_session_options options = {.struct_size = sizeof(options), .pool = pool};
  CSession trainer(options), predictor(options);
  ASSERT_EQ(trainer.status(), PTN_OK) << Said();
  ASSERT_EQ(ptn_pool_free(pool), PTN_OK) << Said();  // the sessions keep its threads
  ASSERT_EQ(ptn_session_threads(trainer.get(), &count), PTN_OK);
  EXPECT_EQ(count, 3u);
  ASSERT_EQ(ptn_session_predict(predictor.get()), PTN_OK);
  const std::vector<float> logits = Logits(predictor.get(), "eval");
  std::vector<float> seen;
  std::thread training([&] { seen = trainer.Train(10); });
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(ptn_session_predict(predictor.get()), PTN_OK) << Said();
    EXPECT_EQ(Logits(predictor.get(), "eval"), logits);
  }
  training.join();
  EXPECT_EQ(seen, losses);
}

}  // namespace
}  // namespace pocketune
