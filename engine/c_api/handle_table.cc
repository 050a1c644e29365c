#include "engine/c_api/handle_table.h"

#include <pthread.h>

#include <utility>

namespace pocketune::capi {
namespace {

// Of a handle's bits the lower ones are the slot's number, the upper ones its generation.
constexpr int kSlotBits = sizeof(void*) == 8 ? 16 : 12;
constexpr uintptr_t kMaxSlots = uintptr_t{1} << kSlotBits;
constexpr uintptr_t kLastGeneration = UINTPTR_MAX >> kSlotBits;

void* Encode(uintptr_t slot, uintptr_t generation) {
  return reinterpret_cast<void*>(generation << kSlotBits | slot);
}
uintptr_t SlotOf(const void* handle) {
  return reinterpret_cast<uintptr_t>(handle) & (kMaxSlots - 1);
}
uintptr_t GenerationOf(const void* handle) {
  return reinterpret_cast<uintptr_t>(handle) >> kSlotBits;
}

}  // namespace

HandleTable& HandleTable::Global() {
  static HandleTable& table = *new HandleTable;
  return table;
}

HandleTable::HandleTable() {
  // A thread that forks must not leave the child a mutex that another thread holds.
  pthread_atfork([] { Global().mutex_.lock(); }, [] { Global().mutex_.unlock(); },
                 [] {
                   ++Global().forks_;
                   Global().mutex_.unlock();
                 });
}

Result<void*> HandleTable::Add(HandleKind kind, std::unique_ptr<HandleObject> object) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (free_.empty()) {
    if (slots_.size() + 1 >= kMaxSlots) {
      return Status(StatusCode::kResourceExhausted, "handle: too many are open");
    }
    free_.reserve(slots_.size() + 1);
    slots_.emplace_back();
    free_.push_back(static_cast<uint32_t>(slots_.size() - 1));
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.object = std::move(object);
  slot.kind = kind;
  slot.forks = forks_;
  slot.busy = false;
  return Encode(index, slot.generation);
}

Result<HandleTable::Slot*> HandleTable::Find(HandleKind kind, const void* handle, bool busy_too) {
  if (handle == nullptr) return Status(StatusCode::kInvalidArgument, "handle: it is NULL");
  const uintptr_t index = SlotOf(handle);
  if (index >= slots_.size() || slots_[index].object == nullptr ||
      slots_[index].generation != GenerationOf(handle)) {
    return Status(StatusCode::kInvalidArgument, "handle: it was freed, or never was one");
  }
  Slot& slot = slots_[index];
  if (slot.kind != kind) {
    return Status(StatusCode::kInvalidArgument, "handle: it is one of another kind");
  }
  if (slot.forks != forks_) {
    return Status(StatusCode::kFailedPrecondition,
                  "handle: it was made before this process was "
                  "forked, and its threads are the parent's");
  }
  if (slot.busy && !busy_too) {
    return Status(StatusCode::kFailedPrecondition,
                  "handle: another call is busy with it, on another thread or around a callback");
  }
  return &slot;
}

Result<HandleObject*> HandleTable::Hold(HandleKind kind, const void* handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Result<Slot*> slot = Find(kind, handle);
  if (!slot.ok()) return slot.status();
  slot.value()->busy = true;
  return slot.value()->object.get();
}

void HandleTable::Release(const void* handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  slots_[SlotOf(handle)].busy = false;
}

Result<std::unique_ptr<HandleObject>> HandleTable::Remove(HandleKind kind, const void* handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Result<Slot*> found = Find(kind, handle);
  if (!found.ok()) return found.status();
  Slot& slot = *found.value();
  std::unique_ptr<HandleObject> object = std::move(slot.object);
  // A slot whose generations are used up is not given again.
  if (++slot.generation < kLastGeneration) free_.push_back(static_cast<uint32_t>(SlotOf(handle)));
  return object;
}

}  // namespace pocketune::capi
