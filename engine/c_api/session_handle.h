// A session behind a handle.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/c_api/call.h"
#include "engine/c_api/handle_table.h"
#include "pocketune/session.h"

namespace pocketune::capi {

struct SessionHandle : HandleObject {
  static constexpr HandleKind kKind = HandleKind::kSession;
  std::shared_ptr<Session> session;  // trainers keep it
  std::vector<ParamInfo> params;     // as the session lists them, once
  std::string user;                  // of the last restore
};

// Runs `work`, which gets the handle's object and returns a ptn_status, as one call on it.
template <typename Work>
ptn_status OnSession(const ptn_session* session, const Work& work) {
  return Guarded([&]() -> ptn_status {
    Held<SessionHandle> held(session);
    if (!held.status().ok()) return Tell(held.status(), "session");
    return work(*held.operator->());
  });
}

}  // namespace pocketune::capi
