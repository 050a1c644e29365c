// What a program can get wrong with the C library, and what it is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <stdexcept>
#include <thread>

#include "tests/engine/c_api/c_session.h"
#include "tests/support/few_threads.h"

namespace pocketune {
namespace {

using test::CSession;
using test::Said;
using test::SmallPlan;
using ::testing::HasSubstr;

ptn_status Open(const ptn_session_options* options, ptn_session** out) {
  return ptn_session_open_memory(SmallPlan().data(), SmallPlan().size(), options, out);
}

// Every function that takes a session, called on one that may not be used.
std::vector<ptn_status> CallAll(ptn_session* s) {
  float value[64] = {};
  size_t count = 0;
  uint32_t threads = 0;
  uint64_t step = 0;
  const char* text = nullptr;
  const void* user = nullptr;
  ptn_tensor_info tensor = {.struct_size = sizeof(tensor)};
  ptn_param_info param = {.struct_size = sizeof(param)};
  ptn_memory memory = {.struct_size = sizeof(memory)};
  return {ptn_session_input_count(s, "train", &count),
          ptn_session_input(s, "train", 0, &tensor),
          ptn_session_output_count(s, "train", &count),
          ptn_session_output(s, "train", 0, &tensor),
          ptn_session_bind(s, "image", nullptr, 0),
          ptn_session_train_step(s, 0.1, value),
          ptn_session_eval_step(s, value),
          ptn_session_predict(s),
          ptn_session_bind_in(s, "predict", "image", nullptr, 0),
          ptn_session_predict_in(s, "predict"),
          ptn_session_read(s, "eval", "logits", value, 64),
          ptn_session_param_count(s, &count),
          ptn_session_param(s, 0, &param),
          ptn_session_read_param(s, "x", value, 64),
          ptn_session_read_base_param(s, "x", value, 64),
          ptn_session_write_param(s, "x", value, 64),
          ptn_session_save(s, "/nowhere/x", nullptr, 0),
          ptn_session_restore(s, "/nowhere/x"),
          ptn_session_user_bytes(s, &user, &count),
          ptn_session_memory(s, &memory),
          ptn_session_threads(s, &threads),
          ptn_session_step(s, &step),
          ptn_session_set_step(s, 1),
          ptn_session_metadata(s, &text),
          ptn_session_find_not_finite(s, &text)};
}

TEST(CApiMisuseTest, EveryFunctionRefusesANullHandle) {
  EXPECT_THAT(CallAll(nullptr), ::testing::Each(PTN_INVALID_ARGUMENT));
  EXPECT_EQ(Said(), "session: handle: it is NULL");
  uint32_t threads = 0;
  EXPECT_EQ(ptn_pool_threads(nullptr, &threads), PTN_INVALID_ARGUMENT);
  // As free() does.
  EXPECT_EQ(ptn_session_free(nullptr), PTN_OK);
  EXPECT_EQ(ptn_pool_free(nullptr), PTN_OK);
}

TEST(CApiMisuseTest, EveryFunctionRefusesANullInPlaceOfAnotherArgument) {
  CSession session;
  ptn_session* s = session.get();
  ptn_session* out = nullptr;
  float value[4] = {};
  size_t count = 0;
  const void* user = nullptr;
  const std::vector<ptn_status> statuses = {
      ptn_session_open(nullptr, nullptr, &out),
      ptn_session_open("plan", nullptr, nullptr),
      ptn_session_open_memory(nullptr, 100, nullptr, &out),
      ptn_session_open_memory(SmallPlan().data(), 100, nullptr, nullptr),
      ptn_session_input_count(s, nullptr, &count),
      ptn_session_input_count(s, "train", nullptr),
      ptn_session_input(s, nullptr, 0, nullptr),
      ptn_session_input(s, "train", 0, nullptr),
      ptn_session_output_count(s, nullptr, nullptr),
      ptn_session_output(s, "train", 0, nullptr),
      ptn_session_bind(s, nullptr, value, 4),
      ptn_session_bind_in(s, nullptr, "image", value, 4),
      ptn_session_bind_in(s, "predict", nullptr, value, 4),
      ptn_session_predict_in(s, nullptr),
      ptn_session_read(s, nullptr, "logits", value, 1),
      ptn_session_read(s, "eval", nullptr, value, 1),
      ptn_session_read(s, "eval", "logits", nullptr, 1),
      ptn_session_param_count(s, nullptr),
      ptn_session_param(s, 0, nullptr),
      ptn_session_read_param(s, nullptr, value, 1),
      ptn_session_read_param(s, "x", nullptr, 1),
      ptn_session_read_base_param(s, "x", nullptr, 1),
      ptn_session_write_param(s, "x", nullptr, 1),
      ptn_session_save(s, nullptr, nullptr, 0),
      ptn_session_save(s, "/nowhere/x", nullptr, 1),
      ptn_session_restore(s, nullptr),
      ptn_session_user_bytes(s, nullptr, &count),
      ptn_session_user_bytes(s, &user, nullptr),
      ptn_session_memory(s, nullptr),
      ptn_session_threads(s, nullptr),
      ptn_session_step(s, nullptr),
      ptn_session_metadata(s, nullptr),
      ptn_session_find_not_finite(s, nullptr),
      ptn_pool_create(nullptr, nullptr),
      ptn_pool_threads(nullptr, nullptr)};
  EXPECT_THAT(statuses, ::testing::Each(PTN_INVALID_ARGUMENT));
  EXPECT_EQ(session.Train(1).size(), 1u);
}

TEST(CApiMisuseTest, AFreedHandleIsKnownToBeFreedWhateverCameAfter) {
  ptn_session* freed = nullptr;
  ASSERT_EQ(Open(nullptr, &freed), PTN_OK) << Said();
  ASSERT_EQ(ptn_session_free(freed), PTN_OK);
  CSession next;  // in the place of the old one
  EXPECT_NE(next.get(), freed);
  EXPECT_THAT(CallAll(freed), ::testing::Each(PTN_INVALID_ARGUMENT));
  EXPECT_EQ(ptn_session_free(freed), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(Said(), "session: handle: it was freed, or never was one");
  EXPECT_EQ(next.Train(1).size(), 1u);
}

TEST(CApiMisuseTest, RefusesHandlesOfAnotherKindAndNumbersThatAreNone) {
  ptn_pool* pool = nullptr;
  ASSERT_EQ(ptn_pool_create(nullptr, &pool), PTN_OK) << Said();
  EXPECT_THAT(CallAll(reinterpret_cast<ptn_session*>(pool)), ::testing::Each(PTN_INVALID_ARGUMENT));
  EXPECT_EQ(Said(), "session: handle: it is one of another kind");
  EXPECT_EQ(ptn_session_free(reinterpret_cast<ptn_session*>(pool)), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(ptn_pool_free(pool), PTN_OK);
  int local = 0;
  for (const uintptr_t number : {uintptr_t{1}, uintptr_t{0xffff}, uintptr_t{1} << 16, UINTPTR_MAX,
                                 reinterpret_cast<uintptr_t>(&local)}) {
    EXPECT_THAT(CallAll(reinterpret_cast<ptn_session*>(number)),
                ::testing::Each(PTN_INVALID_ARGUMENT));
  }
  ptn_session_options options = {.struct_size = sizeof(options), .pool = pool};
  ptn_session* session = nullptr;
  EXPECT_EQ(Open(&options, &session), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(Said(), "session: pool: handle: it was freed, or never was one");
  EXPECT_EQ(session, nullptr);
}

TEST(CApiMisuseTest, TakesOptionsOfOlderVersionsAndOfNewerOnesThatSayNothingNew) {
  struct Newer {
    ptn_session_options known;
    uint64_t more;
  };
  Newer newer = {{.struct_size = sizeof(Newer), .threads = 2}, 0};
  ptn_session* session = nullptr;
  uint32_t threads = 0;
  ASSERT_EQ(Open(&newer.known, &session), PTN_OK) << Said();
  EXPECT_EQ(ptn_session_threads(session, &threads), PTN_OK);
  EXPECT_EQ(threads, 2u);
  EXPECT_EQ(ptn_session_free(session), PTN_OK);
  newer.more = 1;
  EXPECT_EQ(Open(&newer.known, &session), PTN_INVALID_ARGUMENT);
  EXPECT_THAT(Said(), HasSubstr("an option that this version does not know is set"));

  // As if the version had ended behind `threads`: what stands there now is not looked at.
  ptn_session_options older = {.struct_size = offsetof(ptn_session_options, seed),
                               .threads = 2,
                               .pool = reinterpret_cast<ptn_pool*>(uintptr_t{12345})};
  ASSERT_EQ(Open(&older, &session), PTN_OK) << Said();
  EXPECT_EQ(ptn_session_threads(session, &threads), PTN_OK);
  EXPECT_EQ(threads, 2u);
  EXPECT_EQ(ptn_session_free(session), PTN_OK);
}

TEST(CApiMisuseTest, RefusesStructSizesOfNoVersionAndMisalignedStructs) {
  ptn_session* session = nullptr;
  for (const uint32_t size : {0u, 1u, 3u, 12u, 25u, 4104u, UINT32_MAX}) {
    ptn_session_options options = {.struct_size = size};
    EXPECT_EQ(Open(&options, &session), PTN_INVALID_ARGUMENT) << size;
    EXPECT_THAT(Said(), HasSubstr("struct_size is no version's"));
  }
  alignas(8) unsigned char room[sizeof(ptn_session_options) + 8] = {};
  const uint32_t right = sizeof(ptn_session_options);
  std::memcpy(room + 1, &right, sizeof(right));
  EXPECT_EQ(Open(reinterpret_cast<ptn_session_options*>(room + 1), &session), PTN_INVALID_ARGUMENT);
  EXPECT_THAT(Said(), HasSubstr("misaligned"));
}

TEST(CApiMisuseTest, FillsInStructsOfOtherVersionsAsFarAsTheyGo) {
  CSession session;
  struct Newer {
    ptn_memory known;
    int64_t more;
  };
  Newer newer = {{.struct_size = sizeof(Newer)}, -1};
  ASSERT_EQ(ptn_session_memory(session.get(), &newer.known), PTN_OK) << Said();
  EXPECT_GT(newer.known.arena_bytes, 0);
  EXPECT_EQ(newer.known.struct_size, sizeof(Newer));
  EXPECT_EQ(newer.more, 0);
  ptn_memory older = {.struct_size = offsetof(ptn_memory, param_bytes), .param_bytes = -1};
  ASSERT_EQ(ptn_session_memory(session.get(), &older), PTN_OK) << Said();
  EXPECT_EQ(older.arena_bytes, newer.known.arena_bytes);
  EXPECT_EQ(older.param_bytes, -1);
  ptn_memory none = {};
  EXPECT_EQ(ptn_session_memory(session.get(), &none), PTN_INVALID_ARGUMENT);
}

TEST(CApiMisuseTest, SaysWhatWasWrongAndWhatWouldBeRight) {
  CSession session;
  ptn_session* s = session.get();
  float value[4] = {};
  EXPECT_EQ(ptn_session_bind(s, "picture", value, 4), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(Said(), "bind: there is no input of that name (got picture)");
  EXPECT_EQ(ptn_session_bind(s, "label", value, 15), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(Said(), "bind: the input label has another size (got 15 bytes, want 16)");
  EXPECT_EQ(ptn_session_read(s, "eval", "logits", value, 4), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(Said(), "read: logits has another number of elements (got 4, want 20)");
  EXPECT_EQ(ptn_session_read_param(s, "nobody", value, 4), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(Said(), "parameter: there is none of that name (got nobody)");
  float* const odd = reinterpret_cast<float*>(reinterpret_cast<char*>(value) + 1);
  EXPECT_EQ(ptn_session_read(s, "eval", "logits", odd, 1), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(ptn_session_train_step(s, 0.1, odd), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(Said(), "step: loss is misaligned");
  EXPECT_EQ(ptn_session_train_step(s, 0.0 / 0.0, value), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(ptn_session_restore(s, "/nowhere/x"), PTN_NOT_FOUND);
  EXPECT_EQ(Said(), "/nowhere/x: no such file");
  EXPECT_EQ(ptn_session_save(s, "/nowhere/x", nullptr, 0), PTN_UNAVAILABLE);
  EXPECT_THAT(Said(), HasSubstr("/nowhere/x: creating a temporary file failed (No such file"));
  EXPECT_EQ(ptn_last_error_detail(), ENOENT);
  ptn_session_options options = {.struct_size = sizeof(options), .threads = 4000000000u};
  EXPECT_EQ(Open(&options, &s), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(Said(), "session: too many threads (got 4000000000, want at most 1024)");
}

TEST(CApiMisuseTest, RefusesBytesThatAreNoPlanOrADamagedOne) {
  ptn_session* session = nullptr;
  std::string plan = SmallPlan();
  EXPECT_EQ(ptn_session_open_memory(plan.data(), 0, nullptr, &session), PTN_INVALID_ARGUMENT);
  EXPECT_EQ(ptn_session_open_memory(plan.data(), SIZE_MAX, nullptr, &session),
            PTN_INVALID_ARGUMENT);
  EXPECT_EQ(ptn_session_open_memory(plan.data(), plan.size() - 1, nullptr, &session),
            PTN_DATA_LOSS);
  plan[plan.size() / 2] ^= 1;
  EXPECT_EQ(ptn_session_open_memory(plan.data(), plan.size(), nullptr, &session), PTN_DATA_LOSS);
  EXPECT_EQ(session, nullptr);
}

TEST(CApiMisuseTest, CallsInTheWrongOrderAreRefused) {
  ptn_session* session = nullptr;
  ASSERT_EQ(Open(nullptr, &session), PTN_OK);
  float logits[20];
  EXPECT_EQ(ptn_session_train_step(session, 0.1, nullptr), PTN_FAILED_PRECONDITION);
  EXPECT_EQ(ptn_session_predict(session), PTN_FAILED_PRECONDITION);
  EXPECT_EQ(ptn_session_read(session, "eval", "logits", logits, 20), PTN_FAILED_PRECONDITION);
  EXPECT_EQ(ptn_session_free(session), PTN_OK);
}

TEST(CApiMisuseTest, EachThreadHasAnErrorOfItsOwn) {
  float loss = 0;
  EXPECT_EQ(ptn_session_train_step(nullptr, 0.1, &loss), PTN_INVALID_ARGUMENT);
  const std::string mine = Said();
  std::thread([] {
    EXPECT_EQ(Said(), "");
    EXPECT_EQ(ptn_session_open("/nowhere/x", nullptr, nullptr), PTN_INVALID_ARGUMENT);
    EXPECT_EQ(Said(), "session: out is NULL");
  }).join();
  EXPECT_EQ(Said(), mine);
}

// Every step is either taken or refused, and none is lost.
TEST(CApiMisuseTest, CallsOfSeveralThreadsOnOneSessionAreTakenOrRefused) {
  CSession session;
  std::atomic<uint64_t> taken{0}, refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 30; ++i) {
        float loss = 0;
        const ptn_status status = ptn_session_train_step(session.get(), 0.01, &loss);
        ++(status == PTN_OK ? taken : refused);
        if (status == PTN_OK) continue;
        EXPECT_EQ(status, PTN_FAILED_PRECONDITION);
        EXPECT_THAT(Said(), HasSubstr("another call is busy with it"));
        std::this_thread::yield();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken + refused, 90u);
  EXPECT_EQ(session.step(), taken);
}

TEST(CApiMisuseTest, ASessionIsNotFreedUnderACall) {
  ptn_session* session = nullptr;
  ASSERT_EQ(Open(nullptr, &session), PTN_OK);
  std::atomic<bool> freed{false};
  std::thread user([&] {
    uint64_t step = 0;
    ptn_status status = PTN_OK;
    while (!freed && (status == PTN_OK || status == PTN_FAILED_PRECONDITION)) {
      status = ptn_session_step(session, &step);
    }
    EXPECT_EQ(ptn_session_step(session, &step), PTN_INVALID_ARGUMENT);
  });
  while (ptn_session_free(session) != PTN_OK) std::this_thread::yield();
  freed = true;
  user.join();
}

// ---- Callbacks: a notice, which a pool gives that gets fewer threads than it wants ----

struct Listening {
  explicit Listening(ptn_log_fn log, void* user) { ptn_set_log(log, user); }
  ~Listening() { ptn_set_log(nullptr, nullptr); }
};

TEST(CApiMisuseTest, ACallbackMayCallTheLibrary) {
  struct Heard {
    ptn_session* session;
    ptn_status status = PTN_INTERNAL;
    std::string line;
    int32_t level = -1;
  };
  CSession session;
  Heard heard = {session.get()};
  const Listening listening(
      [](void* user, int32_t level, const char* line) {
        Heard& h = *static_cast<Heard*>(user);
        h.status = ptn_session_train_step(h.session, 0.01, nullptr);
        h.line = line;
        h.level = level;
        ptn_set_log(nullptr, nullptr);
      },
      &heard);
  const test::FewThreads few(1);
  ptn_pool_options options = {.struct_size = sizeof(options), .threads = 4};
  ptn_pool* pool = nullptr;
  ASSERT_EQ(ptn_pool_create(&options, &pool), PTN_OK) << Said();
  EXPECT_EQ(ptn_pool_free(pool), PTN_OK);
  EXPECT_EQ(heard.status, PTN_OK);
  EXPECT_EQ(heard.level, PTN_LOG_WARNING);
  EXPECT_EQ(heard.line, "threads: the system starts no more (got 2, want 4)");
}

TEST(CApiMisuseTest, WhatACallbackThrowsStaysInside) {
  int called = 0;
  const Listening listening(
      [](void* user, int32_t, const char*) {
        ++*static_cast<int*>(user);
        throw std::runtime_error("not your business");
      },
      &called);
  const test::FewThreads few(0);
  ptn_session_options options = {.struct_size = sizeof(options), .threads = 2};
  ptn_session* session = nullptr;
  ASSERT_EQ(Open(&options, &session), PTN_OK) << Said();
  EXPECT_EQ(ptn_session_free(session), PTN_OK);
  EXPECT_EQ(called, 1);
}

// The threads of a pool live in the parent alone: a step in the child would wait for ever.
TEST(CApiMisuseTest, AForkedChildIsRefusedWhatItsParentOpened) {
  CSession session({.struct_size = sizeof(ptn_session_options), .threads = 2});
  session.Train(1);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    for (const ptn_status status : CallAll(session.get())) {
      if (status != PTN_FAILED_PRECONDITION) _exit(1);
    }
    if (ptn_session_free(session.get()) != PTN_FAILED_PRECONDITION) _exit(2);
    ptn_session* own = nullptr;
    if (Open(nullptr, &own) != PTN_OK) _exit(3);
    size_t count = 0;
    if (ptn_session_input_count(own, "train", &count) != PTN_OK || count != 3) _exit(4);
    _exit(ptn_session_free(own) == PTN_OK ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  session.Train(1);
}

}  // namespace
}  // namespace pocketune
