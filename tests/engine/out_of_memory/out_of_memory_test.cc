// Memory that runs out at any moment is an error of the C library's call, and nothing is lost by
// it.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "tests/engine/c_api/c_session.h"
#include "tests/support/sanitized.h"

#ifdef PT_SANITIZED
TEST(OutOfMemoryTest, EveryCallFailsCleanly) {
  GTEST_SKIP() << "sanitizers bring allocators of their own";
}
#else
namespace {

std::atomic<int64_t> left{INT64_MAX};  // allocations until they fail
std::atomic<bool> once{true};          // only one fails
std::atomic<int64_t> blocks{0};        // that are held

bool Fails() {
  const int64_t before = left.fetch_sub(1, std::memory_order_relaxed);
  return once ? before == 0 : before <= 0;
}
void* Held(void* block) {
  if (block != nullptr) ++blocks;
  return block;
}

}  // namespace

#define PT_EXPORT __attribute__((visibility("default")))
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

PT_EXPORT void* malloc(size_t n) { return Fails() ? nullptr : Held(__libc_malloc(n)); }
PT_EXPORT void* calloc(size_t count, size_t n) {
  return Fails() ? nullptr : Held(__libc_calloc(count, n));
}
PT_EXPORT void* realloc(void* p, size_t n) {
  if (Fails()) return nullptr;
  return p == nullptr ? Held(__libc_realloc(p, n)) : __libc_realloc(p, n);
}
PT_EXPORT void* memalign(size_t alignment, size_t n) {
  return Fails() ? nullptr : Held(__libc_memalign(alignment, n));
}
PT_EXPORT void* aligned_alloc(size_t alignment, size_t n) { return memalign(alignment, n); }
PT_EXPORT int posix_memalign(void** p, size_t alignment, size_t n) {
  *p = memalign(alignment, n);
  return *p == nullptr ? ENOMEM : 0;
}
PT_EXPORT void free(void* p) {
  if (p != nullptr) --blocks;
  __libc_free(p);
}
PT_EXPORT void* mmap(void* at, size_t n, int protection, int flags, int fd, off_t offset) noexcept {
  errno = ENOMEM;
  if (Fails()) return MAP_FAILED;
  return reinterpret_cast<void*>(syscall(SYS_mmap, at, n, protection, flags, fd, offset));
}
}

namespace pocketune {
namespace {

using test::CSession;
using test::Said;
using test::SmallPlan;

// Mapped bytes of the process, in pages.
int64_t MappedPages() {
  char text[64] = "";
  FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fgets(text, sizeof(text), file) == nullptr) return -1;
  std::fclose(file);
  return std::atoll(text);
}

struct Outcomes {
  int failed = 0;
  int succeeded = 0;
};

// Repeats `call` with its n-th allocation failing, for n = 0, 1, ..., until none was left to fail.
// Each failure must be of memory and hold on to nothing; `undo` gives back what a success took.
Outcomes FailEach(bool only_one, const std::function<ptn_status()>& call,
                  const std::function<void()>& undo) {
  Outcomes outcomes;
  for (int64_t n = 0; n < 100'000; ++n) {
    const int64_t held = blocks;
    once = only_one;
    left = n;
    const ptn_status status = call();
    const bool was_reached = left.exchange(INT64_MAX) < 0;
    if (status == PTN_OK) {
      undo();
      ++outcomes.succeeded;
    } else {
      EXPECT_EQ(status, PTN_RESOURCE_EXHAUSTED) << "allocation " << n << ": " << Said();
      ++outcomes.failed;
    }
    EXPECT_EQ(blocks, held) << "allocation " << n << ": " << Said();
    if (!was_reached || ::testing::Test::HasFailure()) return outcomes;
  }
  ADD_FAILURE() << "it never came to an end";
  return outcomes;
}

class OutOfMemoryTest : public ::testing::TestWithParam<bool> {
 protected:
  OutOfMemoryTest() { SmallPlan(); }
  CSession session_;  // makes what a process makes once, too
};

TEST_P(OutOfMemoryTest, OpeningASessionFailsCleanly) {
  ptn_session* session = nullptr;
  const auto open = [&] {
    return ptn_session_open_memory(SmallPlan().data(), SmallPlan().size(), nullptr, &session);
  };
  const auto close = [&] { EXPECT_EQ(ptn_session_free(session), PTN_OK); };
  ASSERT_EQ(open(), PTN_OK);
  close();
  const int64_t mapped = MappedPages();
  const Outcomes outcomes = FailEach(GetParam(), open, close);
  EXPECT_GT(outcomes.failed, 50);
  EXPECT_GE(outcomes.succeeded, 1);
  // The heap may have grown; leaked arenas would be hundreds of pages each.
  EXPECT_LT(MappedPages() - mapped, 2000);
}

TEST_P(OutOfMemoryTest, MakingAPoolFailsCleanlyOrTakesFewerThreads) {
  ptn_pool* pool = nullptr;
  const ptn_pool_options options = {.struct_size = sizeof(options), .threads = 2};
  const auto make = [&] { return ptn_pool_create(&options, &pool); };
  const auto end = [&] { EXPECT_EQ(ptn_pool_free(pool), PTN_OK); };
  ASSERT_EQ(make(), PTN_OK);
  end();
  EXPECT_GE(FailEach(GetParam(), make, end).failed, 1);
}

TEST_P(OutOfMemoryTest, AStepNeedsNoMemory) {
  once = GetParam();
  left = 0;
  float loss = 0;
  const ptn_status trained = ptn_session_train_step(session_.get(), 0.01, &loss);
  const ptn_status evaluated = ptn_session_eval_step(session_.get(), &loss);
  const ptn_status predicted = ptn_session_predict(session_.get());
  left = INT64_MAX;
  EXPECT_EQ(trained, PTN_OK) << Said();
  EXPECT_EQ(evaluated, PTN_OK) << Said();
  EXPECT_EQ(predicted, PTN_OK) << Said();
}

TEST_P(OutOfMemoryTest, ASaveThatFailsLeavesTheOldCheckpoint) {
  const test::TempFolder folder;
  const std::string path = folder.File("checkpoint");
  session_.Train(1);
  ASSERT_EQ(ptn_session_save(session_.get(), path.c_str(), "old", 3), PTN_OK) << Said();
  const std::vector<uint8_t> old = test::ReadBytes(path);
  session_.Train(1);
  const auto save = [&] { return ptn_session_save(session_.get(), path.c_str(), "new", 3); };
  bool whole = true;
  for (int64_t n = 0; n < 10; ++n) {
    once = GetParam();
    left = n;
    const ptn_status status = save();
    left = INT64_MAX;
    if (status != PTN_OK) whole = whole && test::ReadBytes(path) == old;
  }
  EXPECT_TRUE(whole);
  EXPECT_GT(FailEach(GetParam(), save, [] {}).failed, 3);
}

TEST_P(OutOfMemoryTest, ARestoreThatFailsChangesNothing) {
  const test::TempFolder folder;
  const std::string path = folder.File("checkpoint");
  const std::string user(1000, 'u');
  session_.Train(1);
  ASSERT_EQ(ptn_session_save(session_.get(), path.c_str(), user.data(), user.size()), PTN_OK);
  ASSERT_EQ(ptn_session_restore(session_.get(), path.c_str()), PTN_OK);  // holds the user's bytes
  session_.Train(2);
  const std::vector<float> before = session_.Params();
  const auto restore = [&] {
    const ptn_status status = ptn_session_restore(session_.get(), path.c_str());
    if (status == PTN_OK) return status;
    left = INT64_MAX;
    EXPECT_EQ(session_.Params(), before);
    EXPECT_EQ(session_.step(), 3u);
    left = -1;
    return status;
  };
  EXPECT_GT(FailEach(GetParam(), restore, [] {}).failed, 1);
}

TEST_P(OutOfMemoryTest, AskingFailsCleanly) {
  ptn_tensor_info info = {.struct_size = sizeof(info)};
  const auto nothing = [] {};
  const auto input = [&] { return ptn_session_input(session_.get(), "train", 0, &info); };
  EXPECT_GE(FailEach(GetParam(), input, nothing).failed, 1);
  const auto bind = [&] { return ptn_session_bind(session_.get(), "label", nullptr, 0); };
  EXPECT_GE(FailEach(GetParam(), bind, nothing).failed, 1);
}

TEST_P(OutOfMemoryTest, ATrainingFailsCleanly) {
  constexpr int64_t kCount = 2 * test::kBatch;
  const size_t pixels = session_.batch().image.size() / test::kBatch;
  const std::vector<float> image(kCount * pixels, 0.5f);
  const std::vector<int32_t> label(kCount, 1);
  ptn_samples* samples = nullptr;
  ASSERT_EQ(ptn_samples_create(kCount, &samples), PTN_OK);
  ASSERT_EQ(ptn_samples_add(samples, "image", image.data(), 4 * pixels), PTN_OK) << Said();
  ASSERT_EQ(ptn_samples_add(samples, "label", label.data(), 4), PTN_OK) << Said();
  const ptn_trainer_options options = {
      .struct_size = sizeof(options), .lr = 1e-3, .epochs = 2, .validation = samples};
  const auto train = [&] {
    ptn_trainer* trainer = nullptr;
    ptn_status status = ptn_trainer_create(session_.get(), samples, &options, &trainer);
    if (status != PTN_OK) return status;
    status = ptn_trainer_run(trainer, nullptr);
    EXPECT_EQ(ptn_trainer_free(trainer), PTN_OK);
    return status;
  };
  ASSERT_EQ(train(), PTN_OK) << Said();
  EXPECT_GT(FailEach(GetParam(), train, [] {}).failed, 10);
  EXPECT_EQ(ptn_samples_free(samples), PTN_OK);
}

INSTANTIATE_TEST_SUITE_P(, OutOfMemoryTest, ::testing::Values(true, false),
                         [](const auto& info) { return info.param ? "Once" : "FromThenOn"; });

}  // namespace
}  // namespace pocketune
#endif
