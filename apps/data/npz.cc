// NumPy archives: zip files of arrays of pictures and labels, told apart by their names.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/data/classes.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/file_io.h"
#include "apps/data/npy_array.h"
#include "apps/data/pixel_scale.h"
#include "apps/data/zip_reader.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {
namespace {

constexpr int64_t kMaxSide = 8192;
constexpr size_t kNamesInAMessage = 8;
constexpr double kMaxExact = 9007199254740992;  // 2^53: whole numbers above are not told apart

// The first one that an archive has counts.
constexpr std::string_view kImageWords[] = {"x",   "images",   "image", "imgs",
                                            "img", "pictures", "data"};
constexpr std::string_view kLabelWords[] = {"y", "labels", "label", "targets", "target"};

constexpr int kSlots = kSplits + 1;  // the last: arrays that name no split

struct ArrayName {
  bool is_images;
  int rank;  // of its word
  int slot;
};

int RankOf(std::string_view word, std::span<const std::string_view> words) {
  const auto at = std::find(words.begin(), words.end(), word);
  return at == words.end() ? -1 : int(at - words.begin());
}

std::optional<ArrayName> ArrayNameOf(std::string_view word, int slot) {
  if (const int rank = RankOf(word, kImageWords); rank >= 0) return ArrayName{true, rank, slot};
  if (const int rank = RankOf(word, kLabelWords); rank >= 0) return ArrayName{false, rank, slot};
  return std::nullopt;
}

// "X_train.npy", "test_images.npy", "ytest.npy", "labels.npy".
std::optional<ArrayName> ParseArrayName(const std::string& member) {
  const std::string name = absl::AsciiStrToLower(member);
  if (!absl::EndsWith(name, ".npy")) return std::nullopt;
  const std::string stem = name.substr(0, name.size() - 4);
  std::vector<std::string> words = absl::StrSplit(stem, absl::ByAnyChar("_-. "), absl::SkipEmpty());
  if (words.size() == 1 && ParseSplit(words[0].substr(1))) {
    words = {words[0].substr(0, 1), words[0].substr(1)};
  }
  if (words.size() == 1) return ArrayNameOf(words[0], kSplits);
  if (words.size() != 2) return std::nullopt;
  for (const auto& [word, split_word] : {std::pair(words[0], words[1]), {words[1], words[0]}}) {
    if (const auto split = ParseSplit(split_word)) return ArrayNameOf(word, int(*split));
  }
  return std::nullopt;
}

// The arrays of a split.
struct Slot {
  const ZipMember* images = nullptr;
  const ZipMember* labels = nullptr;
  Split split = Split::kTrain;
};

// Which array is what.
class Directory {
 public:
  explicit Directory(const ZipReader& zip) : zip_(zip) {}
  absl::Status Read();
  // Those with pictures, training first.
  std::vector<Slot> Slots() const;
  // Are there arrays of pictures that name a split?
  bool names_splits() const;
  std::vector<std::string> left_out() const;

 private:
  absl::Status Take(const ZipMember& member, const ArrayName& name);

  const ZipReader& zip_;
  std::array<Slot, kSlots> slots_;
  std::array<std::array<int, 2>, kSlots> ranks_ = {};
};

absl::Status Directory::Take(const ZipMember& member, const ArrayName& name) {
  Slot& slot = slots_[size_t(name.slot)];
  const ZipMember*& taken = name.is_images ? slot.images : slot.labels;
  int& rank = ranks_[size_t(name.slot)][name.is_images];
  if (taken != nullptr && rank == name.rank) {
    return BadData(zip_.path(), absl::StrCat("two arrays for the same (got ", taken->name, " and ",
                                             member.name, ", want one)"));
  }
  if (taken != nullptr && rank < name.rank) return absl::OkStatus();
  taken = &member;
  rank = name.rank;
  return absl::OkStatus();
}

absl::Status Directory::Read() {
  for (const ZipMember& member : zip_.members()) {
    const std::optional<ArrayName> name = ParseArrayName(member.name);
    if (!name) continue;
    PT_TRY(Take(member, *name));
  }
  std::vector<std::string> names;
  bool pictures = false;
  for (const ZipMember& member : zip_.members()) names.push_back(member.name);
  for (int i = 0; i < kSlots; ++i) {
    Slot& slot = slots_[size_t(i)];
    slot.split = i == kSplits ? Split::kTrain : Split(i);
    pictures = pictures || slot.images != nullptr;
    if (slot.images == nullptr || slot.labels != nullptr) continue;
    const std::string want = i == kSplits ? "y" : absl::StrCat("y_", NameOf(slot.split));
    return BadData(zip_.path(),
                   absl::StrCat("no labels for ", slot.images->name, " (want ", want, ")"));
  }
  if (pictures) return absl::OkStatus();
  return BadData(zip_.path(),
                 absl::StrCat("no pictures (got arrays ", ListNames(names, kNamesInAMessage),
                              "; want x and y, images and labels, or x_train, "
                              "y_train, x_test, y_test)"));
}

bool Directory::names_splits() const {
  return std::any_of(slots_.begin(), slots_.end() - 1,
                     [](const Slot& slot) { return slot.images != nullptr; });
}

std::vector<Slot> Directory::Slots() const {
  std::vector<Slot> slots;
  // Beside x_test, x and y are the training pictures; beside x_train they are these once more.
  const Slot& plain = slots_[kSplits];
  const Slot& train = slots_[0];
  if (train.images == nullptr && plain.images != nullptr) slots.push_back(plain);
  for (int i = 0; i < kSplits; ++i) {
    if (slots_[size_t(i)].images != nullptr) slots.push_back(slots_[size_t(i)]);
  }
  return slots;
}

std::vector<std::string> Directory::left_out() const {
  const std::vector<Slot> slots = Slots();
  std::vector<std::string> names;
  for (const ZipMember& member : zip_.members()) {
    const bool taken = std::any_of(slots.begin(), slots.end(), [&](const Slot& slot) {
      return slot.images == &member || slot.labels == &member;
    });
    if (!taken) names.push_back(member.name);
  }
  return names;
}

absl::StatusOr<NpyArray> ReadArray(const ZipReader& zip, const ZipMember& member) {
  PT_TRY_ASSIGN(std::vector<uint8_t> bytes, zip.Read(member, kMaxInMemoryBytes));
  return ParseNpy(absl::StrCat(zip.path(), ": ", member.name), std::move(bytes));
}

absl::Status BadLabel(const NpyArray& array, int64_t i, const std::string& got, const char* want) {
  return BadData(array.name,
                 absl::StrCat("bad label at index ", i, " (got ", got, ", want ", want, ")"));
}

absl::StatusOr<std::string> TextLabel(const NpyArray& array, int64_t i, int64_t* spaced) {
  std::string text;
  if (!array.TextAt(i, &text)) return BadLabel(array, i, "no Unicode", "a text");
  const std::string_view bare = StripSpace(text);
  if (bare.empty()) return BadLabel(array, i, "an empty text", "a name");
  *spaced += bare != text;
  return ReadableName(bare);
}

absl::StatusOr<std::string> NumberLabel(const NpyArray& array, int64_t i) {
  if (array.kind == 'f') {
    const double value = array.NumberAt(i);
    if (!(value >= 0 && value < kMaxExact) || value != std::floor(value)) {
      return BadData(array.name, absl::StrCat("bad type of labels (got ", array.dtype, " with ",
                                              value, " at index ", i,
                                              ", want whole numbers of at least 0, or texts)"));
    }
    return absl::StrCat(int64_t(value));
  }
  int64_t value;
  if (!array.IntegerAt(i, &value) || value < 0) {
    return BadLabel(array, i, absl::StrCat(value), "0 or more");
  }
  return absl::StrCat(value);
}

// The class of each of `n` pictures.
absl::StatusOr<std::vector<std::string>> ToClasses(const NpyArray& array, int64_t n,
                                                   DatasetContents* contents) {
  const bool column = array.shape.size() == 2 && array.shape[1] == 1;
  if ((array.shape.size() != 1 && !column) || array.shape[0] != n) {
    const bool one_hot = array.shape.size() == 2 && array.shape[0] == n;
    return BadData(array.name, absl::StrCat("bad shape (got ", array.ShapeText(),
                                            ", want one label for each of ", n, " pictures",
                                            one_hot ? ": of one-hot rows y.argmax(1))" : ")"));
  }
  const bool text = array.kind == 'U' || array.kind == 'S';
  contents->numbered = contents->numbered && !text;
  std::vector<std::string> classes;
  int64_t spaced = 0;
  for (int64_t i = 0; i < n; ++i) {
    PT_TRY_ASSIGN(std::string label, text ? TextLabel(array, i, &spaced) : NumberLabel(array, i));
    classes.push_back(std::move(label));
  }
  if (spaced > 0) {
    contents->notes.push_back(absl::StrCat("took off the space around ", spaced, " labels"));
  }
  return classes;
}

absl::Status CheckImages(NpyArray* array, bool first, DatasetContents* contents) {
  std::vector<int64_t>& shape = array->shape;
  const std::string text = array->ShapeText();
  if (shape.size() == 3) shape.push_back(1);
  const bool sides_ok = shape.size() == 4 && shape[0] > 0 && shape[1] > 0 && shape[1] <= kMaxSide &&
                        shape[2] > 0 && shape[2] <= kMaxSide && (shape[3] == 1 || shape[3] == 3);
  if (!sides_ok) {
    const bool channels_first = shape.size() == 4 && (shape[1] == 1 || shape[1] == 3);
    return BadData(array->name, absl::StrCat("bad shape of pictures (got ", text,
                                             ", want [N,H,W] or [N,H,W,C], C 1 or 3",
                                             channels_first ? ": x.transpose(0, 2, 3, 1))" : ")"));
  }
  if (!first && (shape[1] != contents->height || shape[2] != contents->width ||
                 shape[3] != contents->channels)) {
    return BadData(array->name, "pictures of another shape than in the split before");
  }
  contents->height = int(shape[1]);
  contents->width = int(shape[2]);
  contents->channels = int(shape[3]);
  return absl::OkStatus();
}

class NpzReader {
 public:
  explicit NpzReader(const ZipReader& zip) : zip_(zip), directory_(zip) {}

  absl::StatusOr<DatasetContents> Read();

 private:
  absl::Status Look();
  absl::Status Add(size_t i);

  const ZipReader& zip_;
  Directory directory_;
  std::vector<Slot> slots_;
  std::vector<std::optional<NpyArray>> pictures_;  // of each slot, where they are kept
  PixelScale scale_;
  DatasetContents contents_;
};

// The range of all arrays is known before the first of them is converted. Bytes are kept, and a
// single array; others, which are larger than what they become, are read once more.
absl::Status NpzReader::Look() {
  pictures_.resize(slots_.size());
  for (size_t i = 0; i < slots_.size(); ++i) {
    PT_TRY_ASSIGN(NpyArray x, ReadArray(zip_, *slots_[i].images));
    PT_TRY(CheckImages(&x, i == 0, &contents_));
    PT_TRY(scale_.Look(x));
    if (slots_.size() == 1 || x.elem_bytes == 1) pictures_[i] = std::move(x);
  }
  return scale_.Decide(slots_.size() == 1 ? absl::StrCat(zip_.path(), ": ", slots_[0].images->name)
                                          : zip_.path());
}

absl::Status NpzReader::Add(size_t i) {
  const Slot& slot = slots_[i];
  if (!pictures_[i]) {
    PT_TRY_ASSIGN(NpyArray x, ReadArray(zip_, *slot.images));
    pictures_[i] = std::move(x);
  }
  PT_TRY_ASSIGN(const NpyArray y, ReadArray(zip_, *slot.labels));
  PT_TRY_ASSIGN(const std::vector<std::string> classes,
                ToClasses(y, pictures_[i]->shape[0], &contents_));
  contents_.AppendBlock(slot.images->name, slot.split, classes,
                        scale_.Bytes(*std::move(pictures_[i])));
  contents_.has_split[size_t(slot.split)] = directory_.names_splits();
  return absl::OkStatus();
}

absl::StatusOr<DatasetContents> NpzReader::Read() {
  PT_TRY(directory_.Read());
  slots_ = directory_.Slots();
  contents_.format = DatasetFormat::kNpz;
  contents_.root = zip_.path();
  contents_.numbered = true;
  PT_TRY(Look());
  for (size_t i = 0; i < slots_.size(); ++i) {
    PT_TRY(Add(i));
  }
  if (const std::string note = scale_.Note(); !note.empty()) contents_.notes.push_back(note);
  if (const std::vector<std::string> names = directory_.left_out(); !names.empty()) {
    contents_.notes.push_back(
        absl::StrCat("left out the arrays ", ListNames(names, kNamesInAMessage)));
  }
  SortClasses(&contents_);
  return std::move(contents_);
}

}  // namespace

absl::StatusOr<DatasetContents> ReadNpz(const std::string& path) {
  PT_TRY_ASSIGN(const ZipReader zip, ZipReader::Open(path));
  return NpzReader(zip).Read();
}

}  // namespace pocketune::data
