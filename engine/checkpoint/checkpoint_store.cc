#include <algorithm>
#include <utility>

#include "engine/checkpoint/checkpoint_file.h"
#include "pocketune/checkpoint.h"

namespace pocketune {
namespace {

constexpr const char* kNames[2] = {"checkpoint-a", "checkpoint-b"};

// Is the file there, and damaged?
bool IsDamage(const Status& status) { return status.code() == StatusCode::kDataLoss; }
bool IsAbsence(const Status& status) { return status.code() == StatusCode::kNotFound; }

}  // namespace

Result<CheckpointContents> ReadCheckpoint(const char* path) {
  const Result<CheckpointFile> file = CheckpointFile::Open(path);
  if (!file.ok()) return file.status();
  const CheckpointInfo& info = file.value().info();
  CheckpointContents contents = {
      file.value().version(), info.model_identity, info.plan_identity, info.step, info.user, {}};
  for (const CheckpointTensor& tensor : file.value().tensors()) {
    contents.tensors.push_back({std::string(tensor.name),
                                tensor.shape,
                                tensor.kind == TensorKind::kState,
                                {tensor.values.begin(), tensor.values.end()}});
  }
  return contents;
}

std::string CheckpointStore::PathOf(int slot) const { return folder_ + "/" + kNames[slot]; }

// Reads both headers. Only absence and damage are facts to go on with.
Status CheckpointStore::Look() {
  for (int i = 0; i < 2; ++i) {
    const Result<CheckpointHeader> header = ReadCheckpointHeader(PathOf(i).c_str());
    slots_[i].status = header.status();
    slots_[i].generation = header.ok() ? header.value().generation : 0;
    if (!header.ok() && !IsAbsence(header.status()) && !IsDamage(header.status())) {
      return header.status();
    }
  }
  looked_ = true;
  return OkStatus();
}

template <typename Read>
Result<int> CheckpointStore::FindNewest(const Read& read) {
  PT_RETURN_IF_ERROR(Look());
  const int newest = slots_[1].generation > slots_[0].generation ? 1 : 0;
  for (const int slot : {newest, 1 - newest}) {
    // What the header alone has shown to be absent or damaged need not be read.
    Status& status = slots_[slot].status;
    if (status.ok()) status = read(PathOf(slot).c_str());
    if (status.ok()) return slot;
    if (IsDamage(status)) slots_[slot].generation = 0;
    if (!IsAbsence(status) && !IsDamage(status)) return status;
  }
  return IsDamage(slots_[0].status) ? slots_[0].status : slots_[1].status;
}

Result<LoadedCheckpoint> CheckpointStore::LoadNewest(Session& session) {
  LoadedCheckpoint loaded;
  const Result<int> slot = FindNewest(
      [&](const char* path) { return session.Restore(path, &loaded.user, &loaded.report); });
  if (!slot.ok()) return slot.status();
  loaded.file = kNames[slot.value()];
  // The one to fall back to: better told now than when it is needed.
  const int older = 1 - slot.value();
  Status& status = slots_[older].status;
  if (status.ok()) status = VerifyCheckpoint(PathOf(older).c_str());
  if (IsDamage(status)) {
    loaded.damaged = kNames[older];
    loaded.damage = status;
  }
  return loaded;
}

Result<LoadedCheckpoint> CheckpointStore::LoadOlder(Session& session) {
  PT_RETURN_IF_ERROR(Look());
  const int older = slots_[1].generation < slots_[0].generation ? 1 : 0;
  PT_RETURN_IF_ERROR(slots_[older].status);
  LoadedCheckpoint loaded;
  loaded.file = kNames[older];
  const Status status = session.Restore(PathOf(older).c_str(), &loaded.user, &loaded.report);
  if (IsDamage(status)) slots_[older] = {0, status};
  if (!status.ok()) return status;
  return loaded;
}

Result<CheckpointContents> CheckpointStore::ReadNewest() {
  CheckpointContents newest;
  const Result<int> slot = FindNewest([&](const char* path) {
    Result<CheckpointContents> contents = ReadCheckpoint(path);
    if (contents.ok()) newest = std::move(contents.value());
    return contents.status();
  });
  if (!slot.ok()) return slot.status();
  return newest;
}

Status CheckpointStore::Save(const Session& session, std::string_view user) {
  if (!looked_) PT_RETURN_IF_ERROR(Look());
  const int older = slots_[1].generation < slots_[0].generation ? 1 : 0;
  const uint64_t generation = slots_[1 - older].generation + 1;
  PT_RETURN_IF_ERROR(session.Save(PathOf(older).c_str(), user, generation));
  slots_[older] = {generation, OkStatus()};
  return OkStatus();
}

}  // namespace pocketune
