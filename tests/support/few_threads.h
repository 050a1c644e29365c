// Makes the system of a test run out of threads. Include it in one source of a test program: its
// pthread_create takes the place of the C library's, in shared libraries too.
#pragma once

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>

namespace pocketune::test {

// Threads that may still be started and not joined; more fail as in a full control group.
inline std::atomic<int> threads_left{1 << 20};

// At most so many threads beside those there are, as long as it lives.
class FewThreads {
 public:
  explicit FewThreads(int threads) : before_(threads_left.exchange(threads)) {}
  ~FewThreads() { threads_left = before_; }
  FewThreads(const FewThreads&) = delete;
  FewThreads& operator=(const FewThreads&) = delete;

 private:
  const int before_;
};

}  // namespace pocketune::test

#pragma GCC visibility push(default)
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attr, void* (*run)(void*),
                              void* argument) {
  using pocketune::test::threads_left;
  static const auto create =
      reinterpret_cast<int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>(
          dlsym(RTLD_NEXT, "pthread_create"));
  if (threads_left.fetch_sub(1) <= 0) {
    threads_left.fetch_add(1);
    return EAGAIN;
  }
  return create(thread, attr, run, argument);
}

extern "C" int pthread_join(pthread_t thread, void** result) {
  static const auto join =
      reinterpret_cast<int (*)(pthread_t, void**)>(dlsym(RTLD_NEXT, "pthread_join"));
  const int error = join(thread, result);
  if (error == 0) pocketune::test::threads_left.fetch_add(1);
  return error;
}
#pragma GCC visibility pop
