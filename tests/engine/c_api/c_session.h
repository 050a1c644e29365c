// A session of the C library over a small model of the zoo, with a batch bound.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "pocketune.h"
#include "tests/support/zoo_session.h"

namespace pocketune::test {

inline constexpr int kBatch = 4;
inline constexpr int kClasses = 5;

// A plan file's bytes. The last block learns: there are frozen weights and optimizer states.
inline const std::string& SmallPlan() {
  static const std::string plan = CompileZooModel(
      {.name = "ds-cnn", .classes = kClasses, .batch = kBatch}, "blocks:1", /*threads=*/2);
  return plan;
}

struct Batch {
  std::vector<float> image;
  std::vector<int32_t> label;
  std::vector<float> weight = std::vector<float>(kBatch, 1.0f);

  explicit Batch(int64_t pixels) : image(static_cast<size_t>(pixels)) {
    const RandomStream stream(1, "image");
    for (size_t i = 0; i < image.size(); ++i) image[i] = 2 * stream.Uniform(i) - 1;
    for (int i = 0; i < kBatch; ++i) label.push_back(i % kClasses);
  }
};

// What the last failing call on this thread said, for messages of tests.
inline std::string Said() { return ptn_last_error(); }

class CSession {
 public:
  explicit CSession(ptn_session_options options = {.struct_size = sizeof(ptn_session_options)}) {
    const std::string& plan = SmallPlan();
    status_ = ptn_session_open_memory(plan.data(), plan.size(), &options, &session_);
    if (status_ != PTN_OK) return;
    ptn_tensor_info image = {.struct_size = sizeof(image)};
    EXPECT_EQ(ptn_session_input(session_, "train", 0, &image), PTN_OK) << Said();
    batch_.image = Batch(image.elements).image;
    EXPECT_EQ(Bind("image", batch_.image), PTN_OK) << Said();
    EXPECT_EQ(Bind("label", batch_.label), PTN_OK) << Said();
    EXPECT_EQ(Bind("weight", batch_.weight), PTN_OK) << Said();
  }
  ~CSession() { EXPECT_EQ(ptn_session_free(session_), PTN_OK) << Said(); }
  CSession(const CSession&) = delete;
  CSession& operator=(const CSession&) = delete;

  ptn_status status() const { return status_; }
  ptn_session* get() const { return session_; }
  Batch& batch() { return batch_; }

  std::vector<float> Train(int steps) {
    std::vector<float> losses(static_cast<size_t>(steps));
    for (float& loss : losses) {
      EXPECT_EQ(ptn_session_train_step(session_, 0.05, &loss), PTN_OK) << Said();
    }
    return losses;
  }

  // All parameters and states, one behind the other.
  std::vector<float> Params() const {
    std::vector<float> all;
    size_t count = 0;
    EXPECT_EQ(ptn_session_param_count(session_, &count), PTN_OK);
    for (size_t i = 0; i < count; ++i) {
      ptn_param_info info = {.struct_size = sizeof(info)};
      EXPECT_EQ(ptn_session_param(session_, i, &info), PTN_OK) << Said();
      const size_t before = all.size();
      all.resize(before + static_cast<size_t>(info.elements));
      EXPECT_EQ(ptn_session_read_param(session_, info.name, all.data() + before,
                                       static_cast<size_t>(info.elements)),
                PTN_OK)
          << Said();
    }
    return all;
  }

  uint64_t step() const {
    uint64_t step = 0;
    EXPECT_EQ(ptn_session_step(session_, &step), PTN_OK) << Said();
    return step;
  }

 private:
  template <typename T>
  ptn_status Bind(const char* input, const std::vector<T>& values) {
    return ptn_session_bind(session_, input, values.data(), values.size() * sizeof(T));
  }

  Batch batch_{0};
  ptn_session* session_ = nullptr;
  ptn_status status_ = PTN_OK;
};

}  // namespace pocketune::test
