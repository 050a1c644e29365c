// PyTorch's .pth, .pt and .bin files as files of weights.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "frontends/torch/storages.h"
#include "frontends/weights/weights_file.h"

namespace pocketune {

// The tensors in what torch.save wrote, read as data: nothing of it runs. Dictionaries within
// dictionaries have their keys joined by dots ("state_dict.fc.weight"); what is no tensor is left
// out. A tensor may look into a storage with any strides, and share it with others.
class TorchFile : public WeightsFile {
 public:
  // INVALID_ARGUMENT for what is no such file, holds more than tensors, texts and numbers, or is
  // damaged; NOT_FOUND, UNAVAILABLE for the file. Messages are one line and name it.
  static absl::StatusOr<std::unique_ptr<TorchFile>> Open(const std::string& path);

  absl::StatusOr<std::vector<float>> Read(const WeightsEntry& entry) const override;

 private:
  struct Storage {
    std::string key;
    std::string dtype;
    int64_t numbers = 0;
  };
  struct View {
    Storage storage;
    int64_t offset = 0;  // numbers
    std::vector<int64_t> strides;
  };

  absl::Status ReadTensors();
  absl::Status Walk(int32_t value, const std::string& name, int depth);
  absl::Status AddTensor(const PickleValue& tensor, const std::string& name);
  absl::StatusOr<Storage> StorageOf(int32_t value, int64_t* offset) const;
  absl::Status Bad(const std::string& what) const;

  std::string path_;
  std::unique_ptr<TorchContainer> container_;
  std::vector<View> views_;  // of entries()
  int64_t visits_ = 0;
  // The storage that was read last: tensors of one storage stand side by side.
  mutable std::string last_key_;
  mutable std::string last_bytes_;
};

// True where the file begins as torch.save's do, in either form. False too where it cannot be read.
bool LooksLikeTorchFile(const std::string& path);

}  // namespace pocketune
