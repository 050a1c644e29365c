// The whole training loop by the C library: on arrays, on a callback, and with what goes wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>

#include "tests/engine/c_api/c_session.h"

namespace pocketune {
namespace {

using test::CSession;
using test::Said;
using ::testing::HasSubstr;

constexpr int64_t kCount = 10;    // samples: 2 batches an epoch, and 2 samples that stay out
constexpr int64_t kPerEpoch = 2;  // batches

// Two of the classes: dark pictures and bright ones.
struct Arrays {
  std::vector<float> image;
  std::vector<int32_t> label;
  size_t pixels;

  explicit Arrays(size_t image_pixels) : image(kCount * image_pixels), pixels(image_pixels) {
    const RandomStream stream(3, "image");
    for (size_t i = 0; i < image.size(); ++i) {
      image[i] = (i / pixels % 2 == 0 ? -0.9f : 0.7f) + 0.2f * stream.Uniform(i);
    }
    for (int64_t i = 0; i < kCount; ++i) label.push_back(static_cast<int32_t>(i % 2));
  }
};

ptn_status LoadFromArrays(void* user, int64_t sample, const ptn_draw*, ptn_sample_input* inputs,
                          size_t count) {
  const Arrays& arrays = *static_cast<const Arrays*>(user);
  for (size_t i = 0; i < count; ++i) {
    if (inputs[i].data == nullptr) continue;
    const bool is_image = std::strcmp(inputs[i].name, "image") == 0;
    const void* from = is_image
                           ? static_cast<const void*>(&arrays.image[size_t(sample) * arrays.pixels])
                           : &arrays.label[size_t(sample)];
    std::memcpy(inputs[i].data, from, inputs[i].bytes);
  }
  return PTN_OK;
}

class CTrainerTest : public ::testing::Test {
 protected:
  CTrainerTest() : arrays_(session_.batch().image.size() / test::kBatch) {
    EXPECT_EQ(ptn_samples_create(kCount, &samples_), PTN_OK) << Said();
    EXPECT_EQ(ptn_samples_add(samples_, "image", arrays_.image.data(), 4 * arrays_.pixels), PTN_OK);
    EXPECT_EQ(ptn_samples_add(samples_, "label", arrays_.label.data(), 4), PTN_OK) << Said();
  }
  ~CTrainerTest() override { EXPECT_EQ(ptn_samples_free(samples_), PTN_OK) << Said(); }

  static ptn_trainer_options Options() {
    return {.struct_size = sizeof(ptn_trainer_options), .lr = 0.05, .epochs = 3};
  }

  // Frees itself.
  struct Made {
    ptn_trainer* trainer = nullptr;
    Made() = default;
    Made(Made&& other) noexcept : trainer(std::exchange(other.trainer, nullptr)) {}
    ~Made() { EXPECT_EQ(ptn_trainer_free(trainer), PTN_OK) << Said(); }
    ptn_status Run(int32_t* end = nullptr) { return ptn_trainer_run(trainer, end); }
  };
  static Made Make(const CSession& session, ptn_samples* samples,
                   const ptn_trainer_options& options) {
    Made made;
    EXPECT_EQ(ptn_trainer_create(session.get(), samples, &options, &made.trainer), PTN_OK)
        << Said();
    return made;
  }

  // What an uninterrupted training ends with.
  std::vector<float> Uninterrupted() {
    CSession session;
    Made made = Make(session, samples_, Options());
    EXPECT_EQ(made.Run(), PTN_OK) << Said();
    return session.Params();
  }

  // Trains with a function that is called for each progress.
  using Progress = std::function<int32_t(const ptn_progress&)>;
  static void Listen(const Progress& progress, ptn_trainer_options* options) {
    options->user = const_cast<Progress*>(&progress);
    options->progress = [](void* user, const ptn_progress* p) {
      return (*static_cast<const Progress*>(user))(*p);
    };
  }

  CSession session_;
  Arrays arrays_;
  ptn_samples* samples_ = nullptr;
};

TEST_F(CTrainerTest, LearnsFromArraysAndTellsHowItGoes) {
  int64_t steps = 0, epochs = 0;
  double first = 0, last = 0;
  const Progress progress = [&](const ptn_progress& p) {
    EXPECT_EQ(p.total_steps, 20 * kPerEpoch);
    if (p.epoch_ended == 0) {
      EXPECT_EQ(p.step, ++steps);
      return 0;
    }
    EXPECT_EQ(p.epoch, epochs++);
    EXPECT_EQ(p.validated, 1);
    if (p.epoch == 0) first = p.val_loss;
    last = p.val_loss;
    return 0;
  };
  ptn_trainer_options options = Options();
  options.epochs = 20;
  options.validation = samples_;
  Listen(progress, &options);
  Made made = Make(session_, samples_, options);
  int32_t end = -1;
  ASSERT_EQ(made.Run(&end), PTN_OK) << Said();
  EXPECT_EQ(end, PTN_TRAIN_FINISHED);
  EXPECT_EQ(steps, 20 * kPerEpoch);
  EXPECT_EQ(epochs, 20);
  EXPECT_LT(last, 0.5 * first);
  int64_t done = 0, total = 0;
  ASSERT_EQ(ptn_trainer_steps(made.trainer, &done, &total), PTN_OK);
  EXPECT_EQ(done, total);

  ptn_evaluation found = {.struct_size = sizeof(found)};
  ASSERT_EQ(ptn_session_evaluate(session_.get(), samples_, &found), PTN_OK) << Said();
  EXPECT_EQ(found.samples, kCount);
  EXPECT_EQ(found.classes, uint32_t{test::kClasses});
  EXPECT_GT(found.accuracy, 0.9);
  EXPECT_EQ(found.accuracy, double(found.correct) / kCount);
  EXPECT_EQ(found.bad, 0);
}

TEST_F(CTrainerTest, StopsWhereProgressSaysSoAndGoesOnToTheSameBits) {
  const std::vector<float> want = Uninterrupted();
  const Progress progress = [](const ptn_progress& p) {
    return p.epoch_ended == 0 && p.step == 3 ? 1 : 0;
  };
  ptn_trainer_options options = Options();
  Listen(progress, &options);
  Made made = Make(session_, samples_, options);
  int32_t end = -1;
  ASSERT_EQ(made.Run(&end), PTN_OK) << Said();
  EXPECT_EQ(end, PTN_TRAIN_STOPPED);
  int64_t done = 0;
  ASSERT_EQ(ptn_trainer_steps(made.trainer, &done, nullptr), PTN_OK);
  EXPECT_EQ(done, 3);
  // Between runs the session is the app's.
  EXPECT_EQ(ptn_session_bind(session_.get(), "image", session_.batch().image.data(),
                             session_.batch().image.size() * 4),
            PTN_OK);
  EXPECT_EQ(ptn_session_predict(session_.get()), PTN_OK) << Said();
  ASSERT_EQ(made.Run(&end), PTN_OK) << Said();
  EXPECT_EQ(end, PTN_TRAIN_FINISHED);
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(CTrainerTest, GoesOnFromItsFolderInAnotherSessionToTheSameBits) {
  const std::vector<float> want = Uninterrupted();
  const test::TempFolder folder;
  ptn_trainer_options options = Options();
  const std::string path = folder.path();
  options.folder = path.c_str();
  {
    const Progress progress = [](const ptn_progress& p) { return p.step == 4 ? 1 : 0; };
    ptn_trainer_options stopping = options;
    Listen(progress, &stopping);
    CSession first;
    Made made = Make(first, samples_, stopping);
    EXPECT_EQ(ptn_trainer_restore(made.trainer), PTN_NOT_FOUND);
    ASSERT_EQ(made.Run(), PTN_OK) << Said();
  }
  Made made = Make(session_, samples_, options);
  ASSERT_EQ(ptn_trainer_restore(made.trainer), PTN_OK) << Said();
  int32_t end = -1;
  ASSERT_EQ(made.Run(&end), PTN_OK) << Said();
  EXPECT_EQ(end, PTN_TRAIN_FINISHED);
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(CTrainerTest, SamplesOfACallbackTrainToTheBitsOfSamplesInMemory) {
  const std::vector<float> want = Uninterrupted();
  ptn_samples* loaded = nullptr;
  ASSERT_EQ(ptn_samples_create_from(kCount, LoadFromArrays, &arrays_, &loaded), PTN_OK) << Said();
  ptn_trainer_options options = Options();
  options.loader_threads = 3;
  Made made = Make(session_, loaded, options);
  EXPECT_EQ(ptn_samples_free(loaded), PTN_OK);  // the trainer keeps them
  ASSERT_EQ(made.Run(), PTN_OK) << Said();
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(CTrainerTest, ACallbackThatReentersIsRefusedAndMayStop) {
  ptn_trainer* trainer = nullptr;
  std::vector<ptn_status> statuses;
  const Progress progress = [&](const ptn_progress&) {
    statuses = {ptn_trainer_run(trainer, nullptr), ptn_trainer_restore(trainer),
                ptn_trainer_free(trainer), ptn_session_train_step(session_.get(), 0.1, nullptr),
                ptn_session_free(session_.get())};
    EXPECT_EQ(ptn_trainer_stop(trainer), PTN_OK) << Said();
    return 0;
  };
  ptn_trainer_options options = Options();
  Listen(progress, &options);
  Made made = Make(session_, samples_, options);
  trainer = made.trainer;
  int32_t end = -1;
  ASSERT_EQ(made.Run(&end), PTN_OK) << Said();
  EXPECT_EQ(end, PTN_TRAIN_STOPPED);
  EXPECT_THAT(statuses, ::testing::ElementsAre(PTN_FAILED_PRECONDITION, PTN_FAILED_PRECONDITION,
                                               PTN_FAILED_PRECONDITION, PTN_FAILED_PRECONDITION,
                                               PTN_FAILED_PRECONDITION));
}

TEST_F(CTrainerTest, ACallbackThatThrowsEndsTheRunWhichCanGoOn) {
  const std::vector<float> want = Uninterrupted();
  bool thrown = false;
  const Progress progress = [&](const ptn_progress& p) -> int32_t {
    if (p.step == 2 && !std::exchange(thrown, true)) throw std::runtime_error("no");
    return 0;
  };
  ptn_trainer_options options = Options();
  Listen(progress, &options);
  Made made = Make(session_, samples_, options);
  EXPECT_EQ(made.Run(), PTN_CANCELLED);
  EXPECT_EQ(Said(), "trainer: the progress function threw");
  ASSERT_EQ(made.Run(), PTN_OK) << Said();
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(CTrainerTest, ALoaderThatFailsOrThrowsEndsTheRunWithItsStatus) {
  const auto run = [&](ptn_load_fn load) {
    ptn_samples* samples = nullptr;
    EXPECT_EQ(ptn_samples_create_from(kCount, load, &arrays_, &samples), PTN_OK) << Said();
    ptn_status status = PTN_OK;
    {
      Made made = Make(session_, samples, Options());
      status = made.Run();
    }
    EXPECT_EQ(ptn_samples_free(samples), PTN_OK);
    return status;
  };
  EXPECT_EQ(run([](void*, int64_t, const ptn_draw*, ptn_sample_input*, size_t) -> ptn_status {
              throw std::runtime_error("no");
            }),
            PTN_CANCELLED);
  EXPECT_THAT(Said(), HasSubstr("samples: the function that loads them threw (sample "));
  EXPECT_EQ(run([](void*, int64_t, const ptn_draw*, ptn_sample_input*, size_t) -> ptn_status {
              return PTN_UNAVAILABLE;
            }),
            PTN_UNAVAILABLE);
  EXPECT_EQ(run([](void*, int64_t, const ptn_draw*, ptn_sample_input*, size_t) -> ptn_status {
              return 12345;
            }),
            PTN_CANCELLED);
}

TEST_F(CTrainerTest, ASampleThatIsBadIsLeftOut) {
  ptn_samples* samples = nullptr;
  const ptn_load_fn load = [](void* user, int64_t sample, const ptn_draw* draw,
                              ptn_sample_input* inputs, size_t count) -> ptn_status {
    return sample == 7 ? PTN_DATA_LOSS : LoadFromArrays(user, sample, draw, inputs, count);
  };
  ASSERT_EQ(ptn_samples_create_from(kCount, load, &arrays_, &samples), PTN_OK) << Said();
  ptn_evaluation found = {.struct_size = sizeof(found)};
  EXPECT_EQ(ptn_session_evaluate(session_.get(), samples, &found), PTN_OK) << Said();
  EXPECT_EQ(found.samples, kCount - 1);
  EXPECT_EQ(found.bad, 1);
  EXPECT_EQ(ptn_samples_free(samples), PTN_OK);
}

TEST_F(CTrainerTest, PausesAndResumesFromAnotherThread) {
  const std::vector<float> want = Uninterrupted();
  std::atomic<int64_t> steps{0};
  const Progress progress = [&](const ptn_progress& p) {
    steps = p.step;
    return 0;
  };
  ptn_trainer_options options = Options();
  Listen(progress, &options);
  Made made = Make(session_, samples_, options);
  ASSERT_EQ(ptn_trainer_pause(made.trainer), PTN_OK);
  ptn_status status = PTN_INTERNAL;
  std::thread running([&] { status = made.Run(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(steps, 0);
  EXPECT_EQ(ptn_trainer_resume(made.trainer), PTN_OK);
  running.join();
  EXPECT_EQ(status, PTN_OK);
  EXPECT_EQ(session_.Params(), want);
}

TEST_F(CTrainerTest, StopsInTimeForItsBudget) {
  ptn_trainer_options options = Options();
  options.epochs = 1'000'000;
  options.time_budget_seconds = 0.05;
  Made made = Make(session_, samples_, options);
  int32_t end = -1;
  ASSERT_EQ(made.Run(&end), PTN_OK) << Said();
  EXPECT_EQ(end, PTN_TRAIN_TIME_BUDGET);
}

TEST_F(CTrainerTest, ATrainerKeepsWhatItUsesAndRefusesAFreedSession) {
  ptn_session* session = nullptr;
  ASSERT_EQ(ptn_session_open_memory(test::SmallPlan().data(), test::SmallPlan().size(), nullptr,
                                    &session),
            PTN_OK);
  const ptn_trainer_options options = Options();
  Made made;
  ASSERT_EQ(ptn_trainer_create(session, samples_, &options, &made.trainer), PTN_OK) << Said();
  EXPECT_EQ(ptn_samples_add(samples_, "more", arrays_.image.data(), 4), PTN_FAILED_PRECONDITION);
  EXPECT_EQ(Said(), "samples: a trainer uses them");
  EXPECT_EQ(ptn_session_free(session), PTN_OK);
  EXPECT_EQ(made.Run(), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(Said(), "trainer: session: handle: it was freed, or never was one");
}

TEST_F(CTrainerTest, RefusesArgumentsThatMakeNoSense) {
  ptn_trainer* trainer = nullptr;
  ptn_samples* samples = nullptr;
  const auto create = [&](const ptn_trainer_options& options) {
    return ptn_trainer_create(session_.get(), samples_, &options, &trainer);
  };
  EXPECT_EQ(ptn_trainer_create(session_.get(), samples_, nullptr, nullptr), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(ptn_trainer_create(nullptr, samples_, nullptr, &trainer), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(ptn_trainer_create(session_.get(), nullptr, nullptr, &trainer), PTN_INVALID_ARGUMENT);
  ptn_trainer_options options = Options();
  options.lr = -1;
  EXPECT_EQ(create(options), PTN_INVALID_ARGUMENT);
  options = Options();
  options.lr_schedule = 4;
  EXPECT_EQ(create(options), PTN_INVALID_ARGUMENT);
  options = Options();
  options.time_budget_seconds = 0.0 / 0.0;
  EXPECT_EQ(create(options), PTN_INVALID_ARGUMENT);
  options = Options();
  options.struct_size = 4;
  EXPECT_EQ(create(options), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(trainer, nullptr);
  for (const ptn_status status :
       {ptn_trainer_run(nullptr, nullptr), ptn_trainer_restore(nullptr), ptn_trainer_stop(nullptr),
        ptn_trainer_pause(nullptr), ptn_trainer_resume(nullptr),
        ptn_trainer_steps(nullptr, nullptr, nullptr), ptn_samples_create(3, nullptr),
        ptn_samples_create(0, &samples), ptn_samples_create_from(3, nullptr, nullptr, &samples),
        ptn_samples_create_from(-1, LoadFromArrays, nullptr, &samples),
        ptn_samples_create_from(3, LoadFromArrays, nullptr, nullptr),
        ptn_samples_add(nullptr, "image", &options, 4),
        ptn_samples_add(samples_, nullptr, &options, 4),
        ptn_samples_add(samples_, "image", nullptr, 4),
        ptn_samples_add(samples_, "image", &options, 0),
        ptn_session_evaluate(session_.get(), nullptr, nullptr),
        ptn_session_evaluate(session_.get(), samples_, nullptr)}) {
    EXPECT_EQ(status, PTN_INVALID_ARGUMENT);
  }
  EXPECT_EQ(ptn_trainer_free(nullptr), PTN_OK);
  EXPECT_EQ(ptn_samples_free(nullptr), PTN_OK);
}

TEST_F(CTrainerTest, SaysThatAnInputIsMissing) {
  ptn_samples* samples = nullptr;
  ASSERT_EQ(ptn_samples_create(kCount, &samples), PTN_OK);
  ASSERT_EQ(ptn_samples_add(samples, "image", arrays_.image.data(), 4 * arrays_.pixels), PTN_OK);
  {
    Made made = Make(session_, samples, Options());
    EXPECT_EQ(made.Run(), PTN_INVALID_ARGUMENT);
    EXPECT_THAT(Said(), HasSubstr("source: an input of the plan was not added"));
  }
  EXPECT_EQ(ptn_samples_free(samples), PTN_OK);
}

}  // namespace
}  // namespace pocketune
