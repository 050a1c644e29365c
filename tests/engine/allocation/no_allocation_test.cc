// A step allocates nothing: every way to memory is counted over 100 steps with two threads.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <new>

#include "engine/base/pages.h"
#include "tests/support/parallel_plan.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_kernels.h"
#include "tests/support/tiny_session.h"
#include "tests/support/zoo_session.h"

#ifdef PT_SANITIZED
TEST(NoAllocationTest, AStepAllocatesNothing) {
  GTEST_SKIP() << "sanitizers bring allocators of their own";
}
#else
namespace {
std::atomic<bool> counting{false};
std::atomic<int> allocations{0};
void Count() {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1);
}
}  // namespace

#define PT_EXPORT __attribute__((visibility("default")))
// operator new of the C++ library calls malloc and aligned_alloc.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

PT_EXPORT void* malloc(size_t n) {
  Count();
  return __libc_malloc(n);
}
PT_EXPORT void* calloc(size_t count, size_t n) {
  Count();
  return __libc_calloc(count, n);
}
PT_EXPORT void* realloc(void* p, size_t n) {
  Count();
  return __libc_realloc(p, n);
}
PT_EXPORT void* memalign(size_t alignment, size_t n) {
  Count();
  return __libc_memalign(alignment, n);
}
PT_EXPORT void* aligned_alloc(size_t alignment, size_t n) {
  Count();
  return __libc_memalign(alignment, n);
}
PT_EXPORT int posix_memalign(void** p, size_t alignment, size_t n) {
  Count();
  *p = __libc_memalign(alignment, n);
  return *p == nullptr ? ENOMEM : 0;
}
PT_EXPORT void* mmap(void* at, size_t n, int protection, int flags, int fd, off_t offset) noexcept {
  Count();
  return reinterpret_cast<void*>(syscall(SYS_mmap, at, n, protection, flags, fd, offset));
}
}

namespace pocketune {
namespace {

// Allocations of `body`.
template <typename Body>
int CountAllocations(const Body& body) {
  allocations = 0;
  counting = true;
  body();
  counting = false;
  return allocations;
}

TEST(NoAllocationTest, AStepAllocatesNothing) {
  EXPECT_EQ(CountAllocations([] { ::operator delete(::operator new(64)); }), 1);
  EXPECT_GE(CountAllocations([] { EXPECT_TRUE(Pages::Allocate(4096).ok()); }), 1);

  SessionOptions options = test::ReferenceOptions(2);
  options.kernels.push_back(test::TestKernels());
  test::TinySession session(options, test::ParallelPlan());
  ASSERT_TRUE(session.status().ok()) << session.status().message();
  session->set_profiling(true);
  int failed = 0;
  float loss = 0;
  const int count = CountAllocations([&] {
    for (int i = 0; i < 100; ++i) failed += !session->TrainStep(0.01, &loss).ok();
    failed += !session->EvalStep(&loss).ok() + !session->Predict().ok();
  });
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(count, 0);
}

TEST(NoAllocationTest, AStepOfTheCpuBackendAllocatesNothing) {
  for (const char* scheme : {"full", "blocks:4"}) {
    const std::string plan = test::CompileZooModel(
        {.name = "mobilenet_v2", .width = 0.35, .resolution = 32, .batch = 2}, scheme, 2);
    test::ZooSession session(plan, {.threads = 2});
    ASSERT_TRUE(session->Bind("predict", "image", session.input(0).data(), 32 * 32 * 3 * 4).ok());
    int failed = 0;
    float loss = 0;
    const int count = CountAllocations([&] {
      // Statistics of two values each blow up where parameters move.
      for (int i = 0; i < 100; ++i) failed += !session->TrainStep(1e-7, &loss).ok();
      failed += !session->EvalStep(&loss).ok() + !session->Predict().ok();
      // Kernels with states are told of the other number of samples, there and back.
      for (int i = 0; i < 3; ++i) {
        failed += !session->Predict("predict").ok() + !session->Predict().ok();
      }
    });
    EXPECT_EQ(failed, 0) << scheme;
    EXPECT_EQ(count, 0) << scheme;
  }
}

}  // namespace
}  // namespace pocketune
#endif  // PT_SANITIZED
