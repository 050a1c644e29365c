// The two containers that PyTorch saves in: a pickle that describes tensors, and storages, the
// blocks of numbers that these look into.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "frontends/torch/pickle.h"

namespace pocketune {

// A file of torch.save, zip form (PyTorch 1.6 and later) or the older one.
class TorchContainer {
 public:
  // What torch.save was given, as data. INVALID_ARGUMENT for what is none of the two forms, has
  // more than tensors in it or is damaged; NOT_FOUND, UNAVAILABLE for the file. Messages name it.
  static absl::StatusOr<std::unique_ptr<TorchContainer>> Open(const std::string& path);
  virtual ~TorchContainer() = default;

  const Pickle& pickle() const { return pickle_; }
  // All bytes of the storage with that key, which must be so many; at most the file's.
  virtual absl::StatusOr<std::string> ReadStorage(const std::string& key, int64_t bytes) const = 0;
  // Called once before any storage is read, with the bytes of each one's numbers, by its key: the
  // older form does not say them.
  virtual absl::Status LocateStorages(
      const std::vector<std::pair<std::string, int64_t>>& number_bytes) = 0;

 protected:
  Pickle pickle_;
};

// The two forms, for Open.
absl::StatusOr<std::unique_ptr<TorchContainer>> OpenZipForm(const std::string& path);
absl::StatusOr<std::unique_ptr<TorchContainer>> OpenOldForm(const std::string& path);

}  // namespace pocketune
