// How functions of the C interface give handles out and take them back.
#pragma once

#include <memory>
#include <utility>

#include "engine/c_api/call.h"
#include "engine/c_api/handle_table.h"

namespace pocketune::capi {

// Puts an object of type T into the table; its handle goes to *out. May throw std::bad_alloc.
template <typename T, typename Handle>
ptn_status GiveHandle(std::unique_ptr<T> object, Handle** out) {
  const Result<void*> handle = HandleTable::Global().Add(T::kKind, std::move(object));
  if (handle.ok()) *out = static_cast<Handle*>(handle.value());
  return Tell(handle.status());
}

// Destroys the object of type T behind `handle`, which `what` names in errors; null is no error.
template <typename T>
ptn_status FreeHandle(const void* handle, const char* what) {
  if (handle == nullptr) return PTN_OK;
  return Guarded(
      [&] { return Tell(HandleTable::Global().Remove(T::kKind, handle).status(), what); });
}

}  // namespace pocketune::capi
