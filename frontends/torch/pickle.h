// Python's pickles as far as PyTorch writes them for dictionaries of tensors: read as data. Nothing
// in them is looked up, imported or called; of the names that a pickle may call, those of
// `kNames` in pickle.cc become values, and any other refuses the file.
// https://docs.python.org/3/library/pickletools.html
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pocketune {

enum class PickleKind : uint8_t {
  kNone,
  kBool,     // number
  kInt,      // number
  kFloat,    // nothing else: no caller asks
  kText,     // text
  kTuple,    // items
  kList,     // items
  kDict,     // items: key, value, key, value, ...
  kName,     // text: "module name"
  kStorage,  // items: those of the persistent id, a tuple
  kTensor,   // items: the arguments of torch._utils._rebuild_tensor_v2
};

struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  int64_t number = 0;
  std::string text;
  std::vector<int32_t> items;  // indices of values; a value may be its own item
};

// What one pickle holds: values that refer to each other by index.
struct Pickle {
  std::vector<PickleValue> values;
  int32_t root = 0;
  int64_t bytes = 0;  // that the pickle takes, its STOP included

  const PickleValue& at(int32_t index) const { return values[static_cast<size_t>(index)]; }
};

// At most so much is read of a pickle and made of it.
inline constexpr int64_t kMaxPickleBytes = int64_t{32} << 20;
inline constexpr size_t kMaxPickleValues = size_t{1} << 20;
inline constexpr size_t kMaxPickleItems = size_t{1} << 22;

// The pickle that `bytes` begins with. INVALID_ARGUMENT for what is not data of the kinds above,
// with what was met; DATA_LOSS where the bytes end before the pickle does.
absl::StatusOr<Pickle> ReadPickle(std::span<const uint8_t> bytes);

}  // namespace pocketune
