// Opening sessions, their steps and checkpoints in C.
#include <cstddef>
#include <span>
#include <utility>

#include "engine/c_api/handle_call.h"
#include "engine/c_api/pool_handle.h"
#include "engine/c_api/session_handle.h"
#include "pocketune/cpu.h"

namespace pocketune::capi {
namespace {

ptn_status ToSessionOptions(const ptn_session_options* given, SessionOptions* out) {
  ptn_session_options o;
  if (const ptn_status bad = TakeOptions("session", given, &o)) return bad;
  if (o.threads > kMaxThreads) return TooManyThreads("session", o.threads);
  out->threads = ThreadsOrOne(o.threads);
  out->seed = o.seed;
  if (o.pool == nullptr) return PTN_OK;
  return Tell(PoolOf(o.pool, &out->pool), "session: pool");
}

// `plan` is a path or bytes; `what` is the path, or null.
template <typename Plan>
ptn_status Open(const Plan& plan, const char* what, const ptn_session_options* given,
                ptn_session** out) {
  return Guarded([&] {
    SessionOptions options;
    if (const ptn_status bad = ToSessionOptions(given, &options)) return bad;
    Result<std::unique_ptr<Session>> session = OpenCpuSession(plan, std::move(options));
    if (!session.ok()) return Tell(session.status(), what);
    auto object = std::make_unique<SessionHandle>();
    object->session = std::move(session.value());
    object->params = object->session->params();
    return GiveHandle(std::move(object), out);
  });
}

// The size of the input of that name in the first of the schedules that has it, -1 where none has.
int64_t BytesOfInput(const Session& session, std::initializer_list<const char*> schedules,
                     std::string_view name) {
  for (const char* schedule : schedules) {
    for (const PortInfo& port : session.inputs(schedule)) {
      if (port.name == name) return port.shape.elems() * SizeOf(port.dtype);
    }
  }
  return -1;
}

// Is there an input of `want` bytes, below 0 for none, to bind `bytes` to?
ptn_status CheckBound(const char* input, int64_t want, const void* data, size_t bytes) {
  if (want < 0) {
    return Fail(StatusCode::kInvalidArgument, 0, "bind: there is no input of that name (got %s)",
                input);
  }
  if (data == nullptr || bytes == static_cast<size_t>(want)) return PTN_OK;
  return Fail(StatusCode::kInvalidArgument, 0,
              "bind: the input %s has another size (got %zu bytes, want %lld)", input, bytes,
              static_cast<long long>(want));
}

using LossStep = Status (*)(Session& session, double learning_rate, float* loss);

ptn_status RunLossStep(ptn_session* session, double learning_rate, float* loss, LossStep step) {
  if (IsMisaligned(loss, alignof(float))) {
    return Fail(StatusCode::kInvalidArgument, 0, "step: loss is misaligned");
  }
  return OnSession(session, [&](SessionHandle& s) {
    float unread = 0;
    return Tell(step(*s.session, learning_rate, loss == nullptr ? &unread : loss));
  });
}

}  // namespace
}  // namespace pocketune::capi

using namespace pocketune;
using namespace pocketune::capi;

extern "C" {

ptn_status ptn_session_open(const char* path, const ptn_session_options* options,
                            ptn_session** out) {
  if (out == nullptr) return IsNull("session", "out");
  *out = nullptr;
  if (path == nullptr) return IsNull("session", "path");
  return Open(path, path, options, out);
}

ptn_status ptn_session_open_memory(const void* plan, size_t bytes,
                                   const ptn_session_options* options, ptn_session** out) {
  if (out == nullptr) return IsNull("session", "out");
  *out = nullptr;
  if (plan == nullptr) return IsNull("session", "plan");
  if (bytes > PTRDIFF_MAX) {
    return Fail(StatusCode::kInvalidArgument, 0, "session: the plan is too long (got %zu bytes)",
                bytes);
  }
  return Open(std::span(static_cast<const uint8_t*>(plan), bytes), nullptr, options, out);
}

ptn_status ptn_session_free(ptn_session* session) {
  return FreeHandle<SessionHandle>(session, "session");
}

ptn_status ptn_session_bind(ptn_session* session, const char* input, const void* data,
                            size_t bytes) {
  if (input == nullptr) return IsNull("bind", "input");
  return OnSession(session, [&](SessionHandle& s) {
    const int64_t want = BytesOfInput(*s.session, {"train", "eval"}, input);
    if (const ptn_status bad = CheckBound(input, want, data, bytes)) return bad;
    return Tell(s.session->Bind(input, data, want));
  });
}

ptn_status ptn_session_bind_in(ptn_session* session, const char* schedule, const char* input,
                               const void* data, size_t bytes) {
  if (schedule == nullptr) return IsNull("bind", "schedule");
  if (input == nullptr) return IsNull("bind", "input");
  return OnSession(session, [&](SessionHandle& s) {
    const int64_t want = BytesOfInput(*s.session, {schedule}, input);
    if (const ptn_status bad = CheckBound(input, want, data, bytes)) return bad;
    return Tell(s.session->Bind(schedule, input, data, want));
  });
}

ptn_status ptn_session_train_step(ptn_session* session, double learning_rate, float* loss) {
  return RunLossStep(session, learning_rate, loss,
                     [](Session& s, double rate, float* to) { return s.TrainStep(rate, to); });
}

ptn_status ptn_session_eval_step(ptn_session* session, float* loss) {
  return RunLossStep(session, 0, loss,
                     [](Session& s, double, float* to) { return s.EvalStep(to); });
}

ptn_status ptn_session_predict(ptn_session* session) {
  return OnSession(session, [](SessionHandle& s) { return Tell(s.session->Predict()); });
}

ptn_status ptn_session_predict_in(ptn_session* session, const char* schedule) {
  if (schedule == nullptr) return IsNull("predict", "schedule");
  return OnSession(session, [&](SessionHandle& s) { return Tell(s.session->Predict(schedule)); });
}

ptn_status ptn_session_save(ptn_session* session, const char* path, const void* user,
                            size_t user_bytes) {
  if (path == nullptr) return IsNull("save", "path");
  if (user == nullptr && user_bytes > 0) return IsNull("save", "user");
  return OnSession(session, [&](SessionHandle& s) {
    return Tell(s.session->Save(path, {static_cast<const char*>(user), user_bytes}), path);
  });
}

ptn_status ptn_session_restore(ptn_session* session, const char* path) {
  if (path == nullptr) return IsNull("restore", "path");
  return OnSession(session, [&](SessionHandle& s) {
    std::string user;
    const Status restored = s.session->Restore(path, &user);
    if (restored.ok()) s.user = std::move(user);
    return Tell(restored, path);
  });
}

ptn_status ptn_session_user_bytes(ptn_session* session, const void** data, size_t* bytes) {
  if (data == nullptr) return IsNull("user bytes", "data");
  if (bytes == nullptr) return IsNull("user bytes", "bytes");
  return OnSession(session, [&](SessionHandle& s) {
    *data = s.user.empty() ? nullptr : s.user.data();
    *bytes = s.user.size();
    return PTN_OK;
  });
}

}  // extern "C"
