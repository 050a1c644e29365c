#include "apps/data/dataset.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/data/classes.h"
#include "apps/data/dataset_formats.h"
#include "apps/data/file_io.h"
#include "engine/base/checksum.h"
#include "engine/base/one_line.h"
#include "engine/base/rng.h"
#include "graph/base/status_macros.h"

namespace pocketune::data {
namespace {

constexpr double kNotedImbalance = 10;
constexpr size_t kNamesInANote = 8;

// Fisher and Yates, keyed by seed and name.
void Shuffle(uint64_t seed, const std::string& name, std::vector<int64_t>* items) {
  const RandomStream random(seed, HashName(name));
  for (size_t i = items->size(); i > 1; --i) {
    std::swap((*items)[i - 1], (*items)[random.Below(i, uint32_t(i))]);
  }
}

int64_t Share(int64_t n, double fraction) { return std::lround(double(n) * fraction); }

// Numbered classes that are not 0, 1, 2, ... may be a mistake in the labels.
std::string NoteOnGaps(const DatasetContents& contents) {
  uint64_t last = 0;
  if (!contents.numbered || contents.class_names.empty() ||
      !absl::SimpleAtoi(contents.class_names.back(), &last) ||
      last + 1 == contents.class_names.size()) {
    return "";
  }
  return absl::StrCat("classes are the labels that occur: ", contents.class_names.size(), " from ",
                      contents.class_names.front(), " to ", last);
}

// Pixels are bytes from 0 to 255. Where all are small, something else was meant, or nothing can be
// seen.
std::string NoteOnDarkPixels(const DatasetContents& contents) {
  constexpr uint8_t kDark = 32;
  uint8_t highest = 0;
  for (const PixelBlock& block : contents.blocks) {
    for (size_t i = 0; i < block.pixels.size() && highest < kDark; ++i) {
      highest = std::max(highest, block.pixels[i]);
    }
  }
  if (contents.blocks.empty() || highest >= kDark) return "";
  return absl::StrCat("pixels: bytes of 0 to 255, none above ", highest,
                      ": nearly black; if that is white, scale them");
}

// A split folder without a class of training's holds folders of another kind.
absl::Status CheckSplitsMeet(const std::string& path, const DatasetContents& contents) {
  if (contents.format != DatasetFormat::kImageFolder ||
      !contents.has_split[size_t(Split::kTrain)]) {
    return absl::OkStatus();
  }
  std::vector<std::array<bool, kSplits>> in_split(contents.class_names.size());
  for (const Sample& sample : contents.samples) {
    in_split[size_t(sample.label)][size_t(sample.split)] = true;
  }
  for (const Split split : {Split::kVal, Split::kTest}) {
    std::vector<std::string> here;
    bool meets = false;
    for (size_t c = 0; c < in_split.size(); ++c) {
      if (in_split[c][size_t(split)]) here.push_back(contents.class_names[c]);
      meets = meets || (in_split[c][size_t(split)] && in_split[c][size_t(Split::kTrain)]);
    }
    if (here.empty() || meets) continue;
    return BadData(path, absl::StrCat("no class of ", NameOf(split), " is one of train (got ",
                                      ListNames(here, kNamesInANote), ")"));
  }
  return absl::OkStatus();
}

// The classes as the caller wants them: named, or those of a run.
absl::Status ApplyClasses(const std::string& path, const DatasetOptions& options,
                          DatasetContents* contents) {
  if (int64_t(contents->class_names.size()) > kMaxClasses) {
    return BadData(path, absl::StrCat("too many classes (got ", contents->class_names.size(),
                                      ", want at most ", kMaxClasses, ")"));
  }
  PT_TRY(CheckSplitsMeet(path, *contents));
  if (!options.class_names.empty() && contents->numbered) {
    PT_TRY(NameNumberedClasses(path, options.class_names, contents));
  } else if (!options.class_names.empty()) {
    contents->notes.push_back("the data names its classes itself: class names given are not used");
  }
  for (const std::string& note :
       {NoteOnLikeNames(contents->class_names),
        options.class_names.empty() ? NoteOnGaps(*contents) : "", NoteOnDarkPixels(*contents)}) {
    if (!note.empty()) contents->notes.push_back(note);
  }
  if (options.known_classes.empty()) return absl::OkStatus();
  return MatchKnownClasses(path, options.known_classes, contents);
}

absl::Status CheckOptions(const DatasetOptions& o) {
  const bool ok = o.val_fraction >= 0 && o.test_fraction >= 0 &&
                  o.val_fraction + o.test_fraction <= 0.9 && o.max_train_per_class >= 0 &&
                  o.max_eval_per_class >= 0;
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("dataset: bad options (got val ", o.val_fraction, ", test ", o.test_fraction,
                   ", limits ", o.max_train_per_class, " and ", o.max_eval_per_class,
                   ", want fractions of 0.9 in all at most and limits of at least 0)"));
}

}  // namespace

const char* NameOf(Split split) {
  return split == Split::kTrain ? "train" : split == Split::kVal ? "val" : "test";
}

const char* NameOf(DatasetFormat format) {
  switch (format) {
    case DatasetFormat::kImageFolder:
      return "image folder";
    case DatasetFormat::kCsv:
      return "csv";
    case DatasetFormat::kIdx:
      return "idx";
    case DatasetFormat::kNpz:
      return "npz";
  }
  return "?";
}

std::optional<Split> ParseSplit(std::string_view name) {
  const std::string word = absl::AsciiStrToLower(std::string(name));
  if (word == "train" || word == "training") return Split::kTrain;
  if (word == "val" || word == "valid" || word == "validation" || word == "dev") return Split::kVal;
  if (word == "test" || word == "testing") return Split::kTest;
  return std::nullopt;
}

int32_t DatasetContents::ClassIndex(const std::string& class_name) {
  const auto [at, is_new] = class_index.insert({class_name, int32_t(class_names.size())});
  if (is_new) class_names.push_back(class_name);
  return at->second;
}

void DatasetContents::AppendBlock(const std::string& name, Split split,
                                  const std::vector<std::string>& classes,
                                  std::vector<uint8_t> pixels) {
  blocks.push_back({int64_t(samples.size()), std::move(pixels)});
  for (size_t i = 0; i < classes.size(); ++i) {
    samples.push_back({absl::StrCat(name, "[", i, "]"), ClassIndex(classes[i]), split});
  }
}

Dataset::Dataset(std::unique_ptr<DatasetContents> contents, const DatasetOptions& options)
    : contents_(std::move(contents)), notes_(contents_->notes) {
  AssignSplits(options);
  BuildIndices(options);
  AddMissingClassNotes();
  AddBalanceNotes();
  for (std::string& note : notes_) note = OneLine(note);
}

Dataset::~Dataset() = default;

DatasetFormat Dataset::format() const { return contents_->format; }
const std::vector<std::string>& Dataset::class_names() const { return contents_->class_names; }
const std::vector<Sample>& Dataset::samples() const { return contents_->samples; }
bool Dataset::names_split(Split split) const { return contents_->has_split[int(split)]; }
bool Dataset::in_memory() const { return !contents_->blocks.empty(); }

std::vector<int64_t> Dataset::CountPerClass(Split split) const {
  std::vector<int64_t> counts(class_names().size());
  for (int64_t i : Indices(split)) ++counts[samples()[i].label];
  return counts;
}

void Dataset::AssignSplits(const DatasetOptions& options) {
  const std::array<bool, kSplits>& has = contents_->has_split;
  const bool any = has[0] || has[1] || has[2];
  if (has[int(Split::kVal)] || (any && !has[int(Split::kTrain)])) return;
  const double test_fraction = any ? 0 : options.test_fraction;
  if (options.val_fraction == 0 && test_fraction == 0) return;

  std::vector<std::vector<int64_t>> per_class(class_names().size());
  for (size_t i = 0; i < contents_->samples.size(); ++i) {
    const Sample& sample = contents_->samples[i];
    if (sample.split == Split::kTrain) per_class[sample.label].push_back(int64_t(i));
  }
  for (size_t c = 0; c < per_class.size(); ++c) {
    std::vector<int64_t>& items = per_class[c];
    Shuffle(options.seed, absl::StrCat("split/", class_names()[c]), &items);
    const int64_t n = int64_t(items.size());
    const int64_t test = std::min(Share(n, test_fraction), std::max<int64_t>(n - 1, 0));
    const int64_t val =
        std::min(Share(n, options.val_fraction), std::max<int64_t>(n - test - 1, 0));
    for (int64_t i = 0; i < test + val; ++i) {
      contents_->samples[items[i]].split = i < test ? Split::kTest : Split::kVal;
    }
  }
  notes_.push_back(absl::StrCat("no ", any ? "" : "test and ", "validation split given: took ",
                                any ? "" : absl::StrCat(test_fraction * 100, " % and "),
                                options.val_fraction * 100, " % of each class, seed ",
                                options.seed));
}

void Dataset::BuildIndices(const DatasetOptions& options) {
  const size_t classes = class_names().size();
  std::vector<std::vector<int64_t>> groups(kSplits * classes);
  for (size_t i = 0; i < samples().size(); ++i) {
    const Sample& sample = samples()[i];
    groups[size_t(sample.split) * classes + sample.label].push_back(int64_t(i));
  }
  for (size_t g = 0; g < groups.size(); ++g) {
    const size_t split = g / classes;
    const int64_t limit = split == 0 ? options.max_train_per_class : options.max_eval_per_class;
    if (limit > 0 && int64_t(groups[g].size()) > limit) {
      Shuffle(options.seed, absl::StrCat("limit/", class_names()[g % classes]), &groups[g]);
      groups[g].resize(limit);
    }
    indices_[split].insert(indices_[split].end(), groups[g].begin(), groups[g].end());
  }
  for (std::vector<int64_t>& indices : indices_) std::sort(indices.begin(), indices.end());
}

// Of splits that the data gives: those that are taken from training may be too small for each
// class.
void Dataset::AddMissingClassNotes() {
  for (const Split split : {Split::kVal, Split::kTest}) {
    if (!contents_->has_split[size_t(split)] || Indices(split).empty()) continue;
    const std::vector<int64_t> counts = CountPerClass(split);
    std::vector<std::string> missing;
    for (size_t c = 0; c < counts.size(); ++c) {
      if (counts[c] == 0) missing.push_back(class_names()[c]);
    }
    if (missing.empty()) continue;
    notes_.push_back(absl::StrCat(NameOf(split), " lacks ", missing.size(), " of ", counts.size(),
                                  " classes: ", ListNames(missing, kNamesInANote)));
  }
}

void Dataset::AddBalanceNotes() {
  if (class_names().size() == 1) {
    notes_.push_back(absl::StrCat("only one class (\"", class_names()[0],
                                  "\"): there is nothing to tell apart"));
  }
  if (Indices(Split::kTrain).empty()) return;
  const std::vector<int64_t> counts = CountPerClass(Split::kTrain);
  int smallest = -1, largest = 0, missing = 0, first_missing = -1;
  for (int c = 0; c < int(counts.size()); ++c) {
    if (counts[c] > counts[largest]) largest = c;
    if (counts[c] == 0) {
      if (missing++ == 0) first_missing = c;
    } else if (smallest < 0 || counts[c] < counts[smallest]) {
      smallest = c;
    }
  }
  if (missing > 0) {
    notes_.push_back(absl::StrCat(missing, " class(es) without a training sample, first \"",
                                  class_names()[first_missing], "\""));
  }
  const double ratio = double(counts[largest]) / double(counts[smallest]);
  if (ratio > kNotedImbalance) {
    notes_.push_back(absl::StrFormat(
        "class imbalance: %d training samples of \"%s\", %d of \"%s\" (ratio %.1f)",
        counts[largest], class_names()[largest], counts[smallest], class_names()[smallest], ratio));
  }
}

absl::Status Dataset::DecodeImage(int64_t index, const DecodeHint& hint, Image* out) const {
  if (!in_memory()) {
    return DecodeImageFile(PathOf(index), hint, out);
  }
  out->Reset(contents_->height, contents_->width, contents_->channels);
  const std::span<const uint8_t> pixels = PixelsOf(index);
  std::memcpy(out->pixels.data(), pixels.data(), pixels.size());
  return absl::OkStatus();
}

std::string Dataset::PathOf(int64_t index) const {
  return absl::StrCat(contents_->root, "/", samples()[index].name);
}

int64_t Dataset::HeldBytes() const {
  constexpr int64_t kAllocationBytes = 32;  // of the allocator's
  auto bytes = int64_t(samples().capacity() * sizeof(Sample));
  for (const Sample& sample : samples()) {
    bytes += int64_t(sample.name.capacity()) + kAllocationBytes;
  }
  for (const std::vector<int64_t>& indices : indices_) {
    bytes += int64_t(indices.capacity() * sizeof(int64_t));
  }
  for (const PixelBlock& block : contents_->blocks) bytes += int64_t(block.pixels.capacity());
  return bytes;
}

std::span<const uint8_t> Dataset::PixelsOf(int64_t index) const {
  const PixelBlock* block = &contents_->blocks.front();
  for (const PixelBlock& b : contents_->blocks) {
    if (b.first_sample <= index) block = &b;
  }
  const int64_t bytes = contents_->image_bytes();
  return {block->pixels.data() + (index - block->first_sample) * bytes, size_t(bytes)};
}

absl::StatusOr<uint64_t> Dataset::ContentChecksum(int64_t index) const {
  if (in_memory()) {
    const std::span<const uint8_t> pixels = PixelsOf(index);
    return Checksum(pixels.data(), pixels.size());
  }
  const std::string path = PathOf(index);
  PT_TRY_ASSIGN(ReadOnlyFile file, ReadOnlyFile::Open(path));
  ChecksumStream checksum;
  std::vector<uint8_t> buffer(size_t(std::min<int64_t>(file.size(), 1 << 16)));
  for (int64_t at = 0; at < file.size(); at += int64_t(buffer.size())) {
    buffer.resize(size_t(std::min<int64_t>(file.size() - at, 1 << 16)));
    PT_TRY(file.ReadAt(at, buffer));
    checksum.Add(buffer.data(), buffer.size());
  }
  return checksum.Value();
}

uint64_t Dataset::Fingerprint() const {
  ChecksumStream stream;
  const auto add = [&stream](const std::string& name, int64_t a, int64_t b) {
    const int64_t numbers[] = {int64_t(name.size()), a, b};
    stream.Add(name.data(), name.size());
    stream.Add(numbers, sizeof(numbers));
  };
  for (const std::string& name : class_names()) add(name, 0, 0);
  for (const Sample& sample : samples()) {
    struct stat info;
    const bool found =
        !in_memory() && stat(absl::StrCat(contents_->root, "/", sample.name).c_str(), &info) == 0;
    add(sample.name, sample.label * kSplits + int(sample.split),
        found ? int64_t(info.st_size) : -1);
  }
  for (const PixelBlock& block : contents_->blocks) {
    stream.Add(block.pixels.data(), block.pixels.size());
  }
  return stream.Value();
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const std::string& path,
                                                     const DatasetOptions& options) {
  PT_TRY(CheckOptions(options));
  PT_TRY_ASSIGN(DatasetContents contents, ReadByContent(path));
  if (contents.samples.empty()) return BadData(path, "no samples (got 0, want at least 1)");
  PT_TRY(ApplyClasses(path, options, &contents));
  return std::make_unique<Dataset>(std::make_unique<DatasetContents>(std::move(contents)), options);
}

}  // namespace pocketune::data
