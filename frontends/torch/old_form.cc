// What torch.save wrote before PyTorch 1.6, and still does when asked: five pickles in a row (a
// magic number, a version, facts of the machine, the data, the keys of its storages), then each
// storage as a count and its numbers.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/file_io.h"
#include "engine/base/math.h"
#include "engine/base/one_line.h"
#include "frontends/torch/storages.h"

namespace pocketune {
namespace {

constexpr uint8_t kMagic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                              0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};

struct Place {
  int64_t offset = 0;
  int64_t bytes = 0;
};

class OldForm : public TorchContainer {
 public:
  OldForm(std::string path, ReadableFile file) : path_(std::move(path)), file_(std::move(file)) {}

  absl::Status Read() {
    uint8_t begin[sizeof kMagic] = {};
    if (!file_.ReadAt(0, begin).ok() || !std::equal(begin, std::end(begin), kMagic)) {
      return Bad("not a file of torch.save: it begins otherwise");
    }
    at_ = sizeof kMagic;
    Pickle version, machine;
    for (Pickle* pickle : {&version, &machine, &pickle_, &keys_}) {
      if (absl::Status status = ReadNext(pickle); !status.ok()) return status;
    }
    if (version.at(version.root).number != 1001) return Bad("its version is not 1001");
    return CheckMachine(machine);
  }

  absl::Status LocateStorages(
      const std::vector<std::pair<std::string, int64_t>>& number_bytes) override {
    const std::map<std::string, int64_t> sizes(number_bytes.begin(), number_bytes.end());
    for (const int32_t item : keys_.at(keys_.root).items) {
      const std::string& key = keys_.at(item).text;
      const auto size = sizes.find(key);
      if (size == sizes.end()) return Bad("a storage belongs to no tensor");
      uint8_t raw[8] = {};
      if (!file_.ReadAt(at_, raw).ok()) return Bad("the file is truncated");
      uint64_t count = 0;
      for (int i = 7; i >= 0; --i) count = count << 8 | raw[i];
      at_ += 8;
      int64_t bytes = 0;
      if (count > uint64_t{1} << 40 ||
          !CheckedMul(static_cast<int64_t>(count), size->second, &bytes) ||
          bytes > file_.bytes() - at_) {
        return Bad("the file is truncated");
      }
      places_[key] = {at_, bytes};
      at_ += bytes;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadStorage(const std::string& key, int64_t bytes) const override {
    const auto place = places_.find(key);
    if (place == places_.end() || place->second.bytes != bytes) {
      return Bad(absl::StrCat("storage ", OneLine(key), " is not there or has another size"));
    }
    std::string raw(static_cast<size_t>(bytes), '\0');
    const Status status =
        file_.ReadAt(place->second.offset, {reinterpret_cast<uint8_t*>(raw.data()), raw.size()});
    if (!status.ok()) return absl::UnavailableError(absl::StrCat(path_, ": reading it failed"));
    return raw;
  }

 private:
  absl::Status Bad(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", what));
  }

  // Storages follow the pickles without a word of where: only as much is read as a pickle takes,
  // four times as much as before where that was too little.
  absl::Status ReadNext(Pickle* pickle) {
    const int64_t left = file_.bytes() - at_;
    for (int64_t window = int64_t{1} << 18;; window *= 4) {
      std::vector<uint8_t> bytes(static_cast<size_t>(std::min({window, left, kMaxPickleBytes})));
      if (!file_.ReadAt(at_, bytes).ok()) {
        return absl::UnavailableError(absl::StrCat(path_, ": reading it failed"));
      }
      absl::StatusOr<Pickle> read = ReadPickle(bytes);
      const bool all = window >= left || window >= kMaxPickleBytes;
      if (absl::IsDataLoss(read.status()) && !all) continue;
      if (!read.ok()) return Bad(std::string(read.status().message()));
      *pickle = *std::move(read);
      at_ += pickle->bytes;
      return absl::OkStatus();
    }
  }

  absl::Status CheckMachine(const Pickle& machine) const {
    const PickleValue& facts = machine.at(machine.root);
    for (size_t i = 0; facts.kind == PickleKind::kDict && i + 1 < facts.items.size(); i += 2) {
      if (machine.at(facts.items[i]).text != "little_endian") continue;
      if (machine.at(facts.items[i + 1]).number == 1) return absl::OkStatus();
    }
    return Bad("its numbers are not little-endian");
  }

  std::string path_;
  ReadableFile file_;
  int64_t at_ = 0;
  Pickle keys_;
  std::map<std::string, Place> places_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TorchContainer>> OpenOldForm(const std::string& path) {
  Result<ReadableFile> file = ReadableFile::Open(path.c_str());
  if (!file.ok()) {
    return absl::Status(static_cast<absl::StatusCode>(file.status().code()),
                        absl::StrCat(path, ": ", file.status().message()));
  }
  auto form = std::make_unique<OldForm>(path, std::move(file).value());
  if (absl::Status status = form->Read(); !status.ok()) return status;
  return form;
}

}  // namespace pocketune
