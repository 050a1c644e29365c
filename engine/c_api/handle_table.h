// Handles of the C interface: numbers that a program may keep too long, mix up or make up.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "pocketune/status.h"

namespace pocketune::capi {

enum class HandleKind : uint8_t { kPool, kSession, kSamples, kTrainer };

// What stands behind a handle.
struct HandleObject {
  virtual ~HandleObject() = default;
};

// A handle is a slot's number and the slot's generation, which grows when its object goes: it is
// never followed as a pointer, and what was freed is known to be. One call at a time holds an
// object. Objects made before a fork are refused in the child, where their threads do not live.
// Thread-safe. Methods that allocate may throw std::bad_alloc, with nothing changed.
class HandleTable {
 public:
  // The process's. It is never destroyed: calls may come until the very end.
  static HandleTable& Global();

  // Takes the object. RESOURCE_EXHAUSTED beyond 65,535 handles at once.
  Result<void*> Add(HandleKind kind, std::unique_ptr<HandleObject> object);

  // Marks the object as busy until Release. INVALID_ARGUMENT where `handle` is none of `kind`;
  // FAILED_PRECONDITION where it is busy, or of before a fork.
  Result<HandleObject*> Hold(HandleKind kind, const void* handle);
  void Release(const void* handle);
  // Calls fn(object) of type T at once, while no other call can come, busy or not: for what is over
  // in no time. Errors as Hold's otherwise. `fn` must not throw.
  template <typename T, typename Fn>
  Status Peek(const void* handle, const Fn& fn) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const Result<Slot*> slot = Find(T::kKind, handle, /*busy_too=*/true);
    if (slot.ok()) fn(static_cast<T&>(*slot.value()->object));
    return slot.status();
  }
  // Takes the object out of the table. Errors as Hold.
  Result<std::unique_ptr<HandleObject>> Remove(HandleKind kind, const void* handle);

 private:
  struct Slot {
    std::unique_ptr<HandleObject> object;  // null: free
    uintptr_t generation = 1;
    uint64_t forks = 0;  // that the process had seen
    HandleKind kind = HandleKind::kPool;
    bool busy = false;
  };
  HandleTable();
  // The slot of a handle that may be used now.
  Result<Slot*> Find(HandleKind kind, const void* handle, bool busy_too = false);

  std::mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;  // its capacity is at least the slots' number
  uint64_t forks_ = 0;
};

// Holds an object of type T for one call.
template <typename T>
class Held {
 public:
  explicit Held(const void* handle)
      : handle_(handle), object_(HandleTable::Global().Hold(T::kKind, handle)) {}
  ~Held() {
    if (object_.ok()) HandleTable::Global().Release(handle_);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  const Status& status() const { return object_.status(); }
  T* operator->() { return static_cast<T*>(object_.value()); }

 private:
  const void* handle_;
  Result<HandleObject*> object_;
};

}  // namespace pocketune::capi
