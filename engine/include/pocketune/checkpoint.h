// The checkpoints of a run folder: two generations, of which the newest valid one wins.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pocketune/session.h"
#include "pocketune/status.h"

namespace pocketune {

// Holds a run folder for one process, by flock on the file "lock" in it: the hold ends with the
// process, however that ends. Released on destruction.
class RunLock {
 public:
  // Takes the lock without waiting and removes what a killed save has left. FAILED_PRECONDITION
  // where another process holds it; UNAVAILABLE (detail = errno).
  static Result<RunLock> Acquire(const std::string& folder);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&&) = delete;

 private:
  explicit RunLock(int fd) : fd_(fd) {}
  int fd_;
};

// What LoadNewest took, and what it could not take.
struct LoadedCheckpoint {
  std::string file;     // "checkpoint-a" or "checkpoint-b"
  std::string user;     // the bytes given to Save
  std::string damaged;  // the other file where that was found damaged, else empty
  Status damage;        // and how
  RestoreReport report;
};

// A tensor of a checkpoint.
struct SavedValues {
  std::string name;
  Shape shape;                // as ParamInfo's
  bool state = false;         // of the optimizer; files of version 1 do not say, and have false
  std::vector<float> values;  // shape.elems()
};

// What a checkpoint holds, apart from any plan.
struct CheckpointContents {
  uint32_t version = 0;
  uint64_t model_identity = 0;  // 0 in files of version 1,
  uint64_t plan_identity = 0;   // which have this instead (Session::PlanIdentity)
  uint64_t step = 0;
  std::string user;
  std::vector<SavedValues> tensors;
};

// The model's own values of all its parameters, in its order, from a plan file. Errors as
// Session::Summarize.
Result<std::vector<SavedValues>> ReadModelValues(const char* plan_path);

// Reads a checkpoint file without a session. Errors as Session::Restore's of the file.
Result<CheckpointContents> ReadCheckpoint(const char* path);

// Reads and writes "checkpoint-a" and "checkpoint-b" in a folder. A save replaces the older, or
// damaged, of the two, so that a whole one is there at any instant. Saving needs the folder's
// RunLock; loading does not. One thread at a time.
class CheckpointStore {
 public:
  explicit CheckpointStore(std::string folder) : folder_(std::move(folder)) {}

  // Restores the newest valid checkpoint into `session`, which is unchanged on error. A damaged one
  // is left as it is, the other is taken and the damage reported. Errors:
  //   NOT_FOUND            no checkpoint has been saved
  //   DATA_LOSS            there are some, and all are damaged
  //   FAILED_PRECONDITION  the newest is of another model, or not for this plan (Session::Restore)
  //   UNIMPLEMENTED        one is of a newer version
  //   INVALID_ARGUMENT     one is no regular file
  //   UNAVAILABLE          reading failed (detail = errno): says nothing about the checkpoints
  Result<LoadedCheckpoint> LoadNewest(Session& session);

  // The same of the older of the two alone, for a caller that the newest is no good to.
  Result<LoadedCheckpoint> LoadOlder(Session& session);

  // The newest valid checkpoint, without a session; errors as LoadNewest but for
  // FAILED_PRECONDITION.
  Result<CheckpointContents> ReadNewest();

  // Saves the session and `user`. Errors as Session::Save; what could be loaded before still can.
  Status Save(const Session& session, std::string_view user);

 private:
  // What is known of one of the two files.
  struct Slot {
    uint64_t generation = 0;  // 0: none there, or damaged
    Status status;
  };
  Status Look();
  // The first of the two, the newest before the other, that read(path) takes: which it is, or the
  // error.
  template <typename Read>
  Result<int> FindNewest(const Read& read);
  std::string PathOf(int slot) const;

  std::string folder_;
  Slot slots_[2];
  bool looked_ = false;
};

}  // namespace pocketune
