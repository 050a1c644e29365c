#include <cstring>
#include <utility>
#include <vector>

#include "engine/base/pages.h"
#include "pocketune/train.h"

namespace pocketune {

FolderStore::FolderStore(std::string folder) : folder_(std::move(folder)), checkpoints_(folder_) {}

Status FolderStore::Save(const Session& session, const TrainState& state) {
  return checkpoints_.Save(session, EncodeTrainState(state));
}

Status FolderStore::SaveBest(const Session& session) {
  return session.Save((folder_ + "/checkpoint-best").c_str(), "");
}

Status FolderStore::Restore(Which which, Session& session, TrainState* state) {
  if (which == Which::kBest) {
    return session.Restore((folder_ + "/checkpoint-best").c_str(), nullptr);
  }
  const Result<LoadedCheckpoint> loaded =
      which == Which::kNewest ? checkpoints_.LoadNewest(session) : checkpoints_.LoadOlder(session);
  if (!loaded.ok()) return loaded.status();
  const Result<TrainState> decoded = DecodeTrainState(loaded.value().user);
  if (!decoded.ok()) return decoded.status();
  *state = decoded.value();
  return OkStatus();
}

// Everything that a checkpoint would hold.
struct MemoryStore::Snapshot {
  Pages values;  // of the parameters, one behind the other
  uint64_t step = 0;
  TrainState state;

  // Calls fn(parameter, its place in `values`) for each that learns, and adds up their elements.
  template <typename Fn>
  static Status ForEach(const Session& session, float* values, const Fn& fn) {
    for (const ParamInfo& param : session.params()) {
      if (!param.trainable && !param.state) continue;
      const std::span<float> place(values, static_cast<size_t>(param.shape.elems()));
      PT_RETURN_IF_ERROR(fn(param, place));
      values += place.size();
    }
    return OkStatus();
  }

  Status Take(const Session& session, const TrainState& of) {
    int64_t elems = 0;
    for (const ParamInfo& param : session.params()) {
      if (param.trainable || param.state) elems += param.shape.elems();
    }
    Result<Pages> pages = Pages::Allocate(elems * int64_t{sizeof(float)});
    if (!pages.ok()) return pages.status();
    auto* const floats = reinterpret_cast<float*>(pages.value().data());
    PT_RETURN_IF_ERROR(
        ForEach(session, floats, [&](const ParamInfo& param, std::span<float> place) {
          return session.ReadParam(param.name, place);
        }));
    values = std::move(pages.value());
    step = session.step();
    state = of;
    return OkStatus();
  }

  Status Give(Session& session) const {
    PT_RETURN_IF_ERROR(ForEach(session, reinterpret_cast<float*>(values.data()),
                               [&](const ParamInfo& param, std::span<float> place) {
                                 return session.WriteParam(param.name, place);
                               }));
    session.set_step(step);
    return OkStatus();
  }
};

MemoryStore::MemoryStore() = default;
MemoryStore::~MemoryStore() = default;

Status MemoryStore::Save(const Session& session, const TrainState& state) {
  auto snapshot = std::make_unique<Snapshot>();
  PT_RETURN_IF_ERROR(snapshot->Take(session, state));
  newest_ = std::move(snapshot);
  return OkStatus();
}

Status MemoryStore::SaveBest(const Session& session) {
  auto snapshot = std::make_unique<Snapshot>();
  PT_RETURN_IF_ERROR(snapshot->Take(session, {}));
  best_ = std::move(snapshot);
  return OkStatus();
}

Status MemoryStore::Restore(Which which, Session& session, TrainState* state) {
  const Snapshot* snapshot = which == Which::kNewest ? newest_.get()
                             : which == Which::kBest ? best_.get()
                                                     : nullptr;
  if (snapshot == nullptr) return Status(StatusCode::kNotFound, "nothing was saved");
  PT_RETURN_IF_ERROR(snapshot->Give(session));
  if (which == Which::kBest) return OkStatus();
  *state = snapshot->state;
  state->restored = true;
  return OkStatus();
}

}  // namespace pocketune
