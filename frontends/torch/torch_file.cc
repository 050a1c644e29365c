#include "frontends/torch/torch_file.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/file_io.h"
#include "engine/base/math.h"
#include "engine/base/one_line.h"

namespace pocketune {
namespace {

// Dictionaries within dictionaries; trainers write two or three.
constexpr int kMaxDepth = 8;
constexpr int64_t kMaxVisits = int64_t{1} << 21;
constexpr size_t kMaxRank = 8;

std::string DtypeOf(const std::string& name) {
  static const std::map<std::string, std::string> kTypes = {
      {"torch DoubleStorage", "F64"}, {"torch FloatStorage", "F32"},
      {"torch HalfStorage", "F16"},   {"torch BFloat16Storage", "BF16"},
      {"torch LongStorage", "I64"},   {"torch IntStorage", "I32"},
      {"torch ShortStorage", "I16"},  {"torch CharStorage", "I8"},
      {"torch ByteStorage", "U8"},    {"torch BoolStorage", "BOOL"}};
  const auto found = kTypes.find(name);
  return found == kTypes.end() ? "" : found->second;
}

// The numbers of a tuple; false where one of them is below 0 or none.
bool Counts(const Pickle& pickle, int32_t tuple, std::vector<int64_t>* counts) {
  const PickleValue& value = pickle.at(tuple);
  if (value.kind != PickleKind::kTuple || value.items.size() > kMaxRank) return false;
  for (const int32_t item : value.items) {
    const PickleValue& count = pickle.at(item);
    if (count.kind != PickleKind::kInt || count.number < 0) return false;
    counts->push_back(count.number);
  }
  return true;
}

// How many elements, and the last number of the storage that they look at, from the first on.
bool Extent(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
            int64_t* elements, int64_t* last) {
  *elements = 1;
  *last = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t reach = 0;
    if (!CheckedMul(*elements, shape[i], elements)) return false;
    if (!CheckedMul(std::max<int64_t>(shape[i] - 1, 0), strides[i], &reach)) return false;
    if (reach > (int64_t{1} << 40) - *last) return false;
    *last += reach;
  }
  return true;
}

// Numbers of `size` bytes in row order, from where the strides have them.
std::string Gather(const std::string& from, int64_t size, int64_t offset,
                   const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
                   int64_t elements) {
  std::string rows;
  rows.reserve(static_cast<size_t>(elements * size));
  std::vector<int64_t> at(shape.size(), 0);
  for (int64_t n = 0; n < elements; ++n) {
    int64_t place = offset;
    for (size_t i = 0; i < at.size(); ++i) place += at[i] * strides[i];
    rows.append(from, static_cast<size_t>(place * size), static_cast<size_t>(size));
    for (size_t i = at.size(); i-- > 0;) {
      if (++at[i] < shape[i]) break;
      at[i] = 0;
    }
  }
  return rows;
}

bool BeginsAsZip(const std::string& path) {
  Result<ReadableFile> file = ReadableFile::Open(path.c_str());
  uint8_t begin[4] = {};
  if (!file.ok() || !file.value().ReadAt(0, begin).ok()) return false;
  return begin[0] == 'P' && begin[1] == 'K' && begin[2] == 3 && begin[3] == 4;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TorchContainer>> TorchContainer::Open(const std::string& path) {
  return BeginsAsZip(path) ? OpenZipForm(path) : OpenOldForm(path);
}

bool LooksLikeTorchFile(const std::string& path) {
  Result<ReadableFile> file = ReadableFile::Open(path.c_str());
  uint8_t begin[2] = {};
  if (!file.ok() || !file.value().ReadAt(0, begin).ok()) return false;
  return BeginsAsZip(path) || (begin[0] == 0x80 && begin[1] == 2);
}

absl::Status TorchFile::Bad(const std::string& what) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": ", what));
}

absl::StatusOr<std::unique_ptr<TorchFile>> TorchFile::Open(const std::string& path) {
  auto file = std::make_unique<TorchFile>();
  file->path_ = path;
  absl::StatusOr<std::unique_ptr<TorchContainer>> container = TorchContainer::Open(path);
  if (!container.ok()) return container.status();
  file->container_ = *std::move(container);
  if (absl::Status status = file->ReadTensors(); !status.ok()) return status;
  return file;
}

absl::Status TorchFile::ReadTensors() {
  const Pickle& pickle = container_->pickle();
  if (pickle.at(pickle.root).kind != PickleKind::kDict) {
    return Bad(
        "it holds no dictionary of tensors: on a computer with PyTorch, save the model's "
        "state_dict()");
  }
  if (absl::Status status = Walk(pickle.root, "", 0); !status.ok()) return status;
  if (entries().empty()) return Bad("it holds no tensors");
  // Tensors that no name leads to have storages too.
  std::map<std::string, int64_t> bytes;
  for (const PickleValue& value : pickle.values) {
    if (value.kind != PickleKind::kStorage || value.items.size() < 5) continue;
    const std::string& key = pickle.at(value.items[2]).text;
    bytes[key] = BytesOfNumber(DtypeOf(pickle.at(value.items[1]).text));
  }
  return container_->LocateStorages({bytes.begin(), bytes.end()});
}

absl::Status TorchFile::Walk(int32_t index, const std::string& name, int depth) {
  const Pickle& pickle = container_->pickle();
  const PickleValue& value = pickle.at(index);
  if (++visits_ > kMaxVisits) return Bad("it holds too much");
  if (value.kind == PickleKind::kTensor) return AddTensor(value, name);
  if (value.kind != PickleKind::kDict) return absl::OkStatus();
  if (depth == kMaxDepth) return Bad("its dictionaries are too deep");
  for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
    const PickleValue& key = pickle.at(value.items[i]);
    std::string below = key.text;
    if (key.kind == PickleKind::kInt) below = absl::StrCat(key.number);
    if (below.empty()) continue;
    if (!name.empty()) below = absl::StrCat(name, ".", below);
    if (absl::Status status = Walk(value.items[i + 1], below, depth + 1); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// ("storage", type, key, device, numbers), and in old files what part of it, or nothing.
absl::StatusOr<TorchFile::Storage> TorchFile::StorageOf(int32_t index, int64_t* offset) const {
  const Pickle& pickle = container_->pickle();
  const PickleValue& value = pickle.at(index);
  if (value.kind != PickleKind::kStorage || value.items.size() < 5) {
    return Bad("a tensor has no storage");
  }
  const PickleValue& type = pickle.at(value.items[1]);
  const PickleValue& key = pickle.at(value.items[2]);
  const PickleValue& numbers = pickle.at(value.items[4]);
  Storage storage = {key.text, DtypeOf(type.text), numbers.number};
  if (key.text.empty() || storage.dtype.empty() || numbers.kind != PickleKind::kInt ||
      storage.numbers < 0 || storage.numbers > int64_t{1} << 40) {
    return Bad("a tensor's storage is described wrongly");
  }
  if (value.items.size() > 5 && pickle.at(value.items[5]).kind == PickleKind::kTuple) {
    const std::vector<int32_t>& part = pickle.at(value.items[5]).items;
    if (part.size() != 3) return Bad("a tensor's storage is described wrongly");
    const int64_t begin = pickle.at(part[1]).number;
    if (begin < 0 || begin > storage.numbers) {
      return Bad("a tensor's storage is described wrongly");
    }
    *offset += begin;
  }
  return storage;
}

absl::Status TorchFile::AddTensor(const PickleValue& tensor, const std::string& name) {
  const Pickle& pickle = container_->pickle();
  const std::string what = absl::StrCat("tensor ", OneLine(name));
  View view;
  WeightsEntry entry;
  entry.name = name;
  if (tensor.items.size() < 4 || pickle.at(tensor.items[1]).kind != PickleKind::kInt ||
      !Counts(pickle, tensor.items[2], &entry.shape) ||
      !Counts(pickle, tensor.items[3], &view.strides) ||
      entry.shape.size() != view.strides.size()) {
    return Bad(what + " is described wrongly");
  }
  view.offset = pickle.at(tensor.items[1]).number;
  if (view.offset < 0 || view.offset > int64_t{1} << 40) return Bad(what + " is described wrongly");
  absl::StatusOr<Storage> storage = StorageOf(tensor.items[0], &view.offset);
  if (!storage.ok()) return storage.status();
  int64_t elements = 0, last = 0;
  // As many elements as its storage has, at most: a broadcast number is no weight.
  if (!Extent(entry.shape, view.strides, &elements, &last) || elements > storage->numbers ||
      (elements > 0 && view.offset + last >= storage->numbers)) {
    return Bad(what + " reaches beyond its storage");
  }
  view.storage = *std::move(storage);
  entry.dtype = view.storage.dtype;
  if (!Add(std::move(entry))) return Bad(what + " is there twice");
  views_.push_back(std::move(view));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> TorchFile::Read(const WeightsEntry& entry) const {
  const WeightsEntry* const known = Find(entry.name);
  if (known == nullptr) return Bad(absl::StrCat("no tensor ", OneLine(entry.name)));
  const View& view = views_[static_cast<size_t>(known - entries().data())];
  const int64_t size = BytesOfNumber(known->dtype);
  const int64_t bytes = view.storage.numbers * size;
  if (last_key_ != view.storage.key || static_cast<int64_t>(last_bytes_.size()) != bytes) {
    absl::StatusOr<std::string> raw = container_->ReadStorage(view.storage.key, bytes);
    if (!raw.ok()) return raw.status();
    last_key_ = view.storage.key;
    last_bytes_ = *std::move(raw);
  }
  int64_t elements = 1;
  for (const int64_t dim : known->shape) elements *= dim;
  const std::string rows =
      Gather(last_bytes_, size, view.offset, known->shape, view.strides, elements);
  std::vector<float> values;
  if (ToFloats(known->dtype, rows, &values)) return values;
  return Bad(absl::StrCat("tensor ", OneLine(entry.name), " is not of a floating-point type (got ",
                          known->dtype, ", want F64, F32, F16 or BF16)"));
}

}  // namespace pocketune
