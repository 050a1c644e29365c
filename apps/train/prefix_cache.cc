#include "apps/train/prefix_cache.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/train/exit_code.h"
#include "engine/base/checksum.h"

namespace pocketune {
namespace {

// Below these the cache is not worth its room: rates of a fast processor and of a slow memory.
constexpr double kMinSavedShare = 0.05;
constexpr double kMacsPerSecond = 20e9;
constexpr double kRowBytesPerSecond = 1e9;

std::string Megabytes(int64_t bytes) { return absl::StrFormat("%.1f MB", double(bytes) / 1e6); }

template <typename T>
void AddTo(ChecksumStream& stream, const T& value) {
  stream.Add(&value, sizeof(value));
}

uint64_t IdentityOf(uint64_t prefix, const data::TransformOptions& transform) {
  ChecksumStream stream;
  AddTo(stream, prefix);
  AddTo(stream, data::kDecodingRules);
  for (const int size : {transform.height, transform.width, transform.channels,
                         transform.normalization.channels, transform.perturbation.quarter_turns}) {
    AddTo(stream, size);
  }
  AddTo(stream, transform.normalization.mean);
  AddTo(stream, transform.normalization.std);
  AddTo(stream, transform.perturbation.tone);
  if (transform.flip_probability > 0) AddTo(stream, transform.flip_probability < 1);
  return stream.Value();
}

// Without random crops there are two pictures at most. One that is never or always flipped has one
// row alone.
std::vector<data::Augmentation> WaysOf(const data::TransformOptions& transform) {
  if (transform.crop_padding > 0) return {};
  std::vector<data::Augmentation> ways;
  for (const bool flip : {false, true}) {
    if (flip ? transform.flip_probability > 0 : transform.flip_probability < 1) {
      ways.push_back({.flip = flip});
    }
  }
  return ways;
}

int64_t FreeBytesBeside(const std::string& path) {
  struct statvfs info;
  const std::string folder = std::filesystem::path(path).parent_path().string();
  if (statvfs(folder.empty() ? "." : folder.c_str(), &info) != 0) return 0;
  return int64_t(info.f_bavail) * int64_t(info.f_frsize);
}

}  // namespace

int PrefixCache::RowsOfPicture(const data::TransformOptions& transform) {
  return static_cast<int>(WaysOf(transform).size());
}

bool PrefixCache::Pays(const PrefixInfo& prefix) {
  if (prefix.row_bytes == 0) return false;
  const double all = double(prefix.macs) + double(prefix.rest_macs);
  return double(prefix.macs) >= kMinSavedShare * all &&
         double(prefix.macs) / kMacsPerSecond > double(prefix.row_bytes) / kRowBytesPerSecond;
}

int64_t PrefixCache::UpkeepBytes(const Source& source) {
  constexpr int64_t kPictureBytes = 96;  // of the tables here and in the store, for each way
  const auto ways = static_cast<int64_t>(WaysOf(source.transform->options()).size());
  const auto pictures = static_cast<int64_t>(source.dataset->Indices(source.split).size());
  const int64_t image_bytes = source.transform->elems() * int64_t{sizeof(float)};
  // CheckPlaces has a batch of both twice; what the loader has is not counted here.
  return pictures * ways * kPictureBytes +
         source.batch * (2 * source.session->prefix(source.schedule).row_bytes + image_bytes);
}

PrefixCache::PrefixCache(const Source& source, const Notes& note)
    : source_(source),
      note_(note),
      ways_(WaysOf(source.transform->options())),
      pointers_(source.batch) {
  const std::vector<int64_t>& samples = source_.dataset->Indices(source_.split);
  for (const int64_t sample : samples) picture_of_.emplace(sample, int64_t(picture_of_.size()));
  spec_.row_bytes = source_.session->prefix(source_.schedule).row_bytes;
  spec_.rows = int64_t(samples.size() * ways_.size()) + 1;
  rows_.resize(source_.batch * spec_.row_bytes);
}

PrefixCache::~PrefixCache() { Unbind(); }

std::unique_ptr<PrefixCache> PrefixCache::Open(const Source& source,
                                               const PrefixCacheOptions& options,
                                               const std::string& own_path, const Notes& note) {
  if (source.session->prefix(source.schedule).row_bytes == 0) return nullptr;
  if (RowsOfPicture(source.transform->options()) == 0) return nullptr;
  const int64_t upkeep = options.counts_upkeep ? UpkeepBytes(source) : 0;
  if (upkeep > options.memory_bytes) {
    note(absl::StrCat("prefix cache: off, it takes ", Megabytes(upkeep), " beside its rows, of ",
                      Megabytes(options.memory_bytes), " left"));
    return nullptr;
  }
  const int64_t row_bytes = options.memory_bytes - upkeep;
  std::unique_ptr<PrefixCache> cache(new PrefixCache(source, note));
  if (options.where != "auto" && cache->UseFile(options.where)) return cache;
  if (cache->bytes() <= row_bytes && cache->UseMemory()) return cache;
  if (options.where != "auto") return nullptr;
  const int64_t file_bytes = RowFileBytes(cache->spec_.rows, cache->spec_.row_bytes);
  const int64_t limit = std::min(options.file_bytes, FreeBytesBeside(own_path) / 2);
  if (file_bytes > limit) {
    note(absl::StrCat("prefix cache: off, what the frozen layers make of ",
                      cache->picture_of_.size(), " pictures has no room (got ",
                      Megabytes(file_bytes), ", want at most ", Megabytes(row_bytes),
                      " in memory or ", Megabytes(limit), " on disk)"));
    return nullptr;
  }
  cache->own_file_ = true;
  return cache->UseFile(own_path) ? std::move(cache) : nullptr;
}

bool PrefixCache::UseMemory() {
  absl::StatusOr<std::unique_ptr<RowStore>> store = RowStore::InMemory(spec_);
  if (store.ok()) store_ = *std::move(store);
  return store.ok();
}

bool PrefixCache::UseFile(const std::string& path) {
  absl::Status status = Describe();
  if (status.ok()) {
    std::string notice;
    absl::StatusOr<std::unique_ptr<RowStore>> store = RowStore::InFile(path, spec_, &notice);
    if (!notice.empty()) note_("prefix cache: " + notice);
    if (store.ok()) store_ = *std::move(store);
    status = store.status();
  }
  in_file_ = status.ok();
  if (!status.ok()) note_(absl::StrCat("prefix cache: not in a file: ", status.message()));
  return status.ok();
}

// What tells a file's rows from those of other weights and pictures.
absl::Status PrefixCache::Describe() {
  const Result<uint64_t> prefix = source_.session->PrefixIdentity(source_.schedule);
  if (!prefix.ok()) return absl::UnavailableError(prefix.status().message());
  spec_.identity = IdentityOf(prefix.value(), source_.transform->options());
  spec_.keys.clear();
  for (const int64_t sample : source_.dataset->Indices(source_.split)) {
    const absl::StatusOr<uint64_t> key = source_.dataset->ContentChecksum(sample);
    if (!key.ok()) return key.status();
    spec_.keys.insert(spec_.keys.end(), ways_.size(), *key);
  }
  spec_.keys.push_back(0);
  return absl::OkStatus();
}

int64_t PrefixCache::RowOf(int64_t sample, const data::Augmentation& augmentation) const {
  if (sample < 0) return spec_.rows - 1;
  const int64_t ways = int64_t(ways_.size());
  return picture_of_.at(sample) * ways + (augmentation.flip ? ways - 1 : 0);
}

// The first batch always: it is what the checks look at. Then what is missing.
std::vector<int64_t> PrefixCache::ToCompute(const data::Augmentation& augmentation) const {
  const std::vector<int64_t>& all = source_.dataset->Indices(source_.split);
  std::vector<int64_t> samples;
  for (size_t i = 0; i < all.size(); ++i) {
    if (int64_t(i) < source_.batch || !store_->Has(RowOf(all[i], augmentation))) {
      samples.push_back(all[i]);
    }
  }
  return samples;
}

absl::Status PrefixCache::Fill(data::LoaderSize loader_size, const std::function<bool()>& stop) {
  for (const data::Augmentation& way : ways_) PT_TRY(FillWith(way, loader_size, stop));
  return store_->Has(spec_.rows - 1) ? absl::OkStatus() : KeepBlank();
}

absl::Status PrefixCache::FillWith(const data::Augmentation& augmentation,
                                   data::LoaderSize loader_size,
                                   const std::function<bool()>& stop) {
  data::LoaderOptions options = data::LoaderOptions::Eval(source_.split, source_.batch);
  options.threads = loader_size.threads;
  options.queue_batches = loader_size.queue_batches;
  options.samples = ToCompute(augmentation);
  options.augmentation = augmentation;
  options.pictures = source_.pictures;
  options.tolerate_bad = true;
  note_(absl::StrFormat("prefix cache: computing what the frozen layers make of %d %s pictures%s",
                        options.samples.size(), data::NameOf(source_.split),
                        augmentation.flip ? ", flipped" : ""));
  auto loader = data::BatchLoader::Create(source_.dataset, *source_.transform, options);
  if (!loader.ok()) return loader.status();
  for (bool first = true;; first = false) {
    const absl::StatusOr<const data::Batch*> next = (*loader)->Next();
    if (!next.ok()) return next.status();
    if (*next == nullptr) break;
    if (stop()) return absl::CancelledError("stopped");
    if (first) {
      PT_TRY(CheckPlaces(**next));
      if (!AgreesWithStored(**next)) {
        note_("prefix cache: the file's rows are not what this machine computes; begun anew");
        store_->Clear();
        return Fill(loader_size, stop);
      }
    } else {
      PT_TRY(Compute((*next)->images));
    }
    PT_TRY(Keep(**next));
  }
  for (const data::SkippedSample& bad : (*loader)->skipped()) bad_[bad.sample] = bad.reason;
  return absl::OkStatus();
}

// Rows of a batch of pictures, to rows_.
absl::Status PrefixCache::Compute(const std::vector<float>& images) {
  Session& session = *source_.session;
  PT_TRY(As(ExitCode::kInternal, "prefix cache",
            session.Bind("image", images.data(), int64_t(images.size() * sizeof(float)))));
  const absl::Status status =
      As(ExitCode::kInternal, "prefix cache", session.ComputePrefix(source_.schedule, rows_));
  PT_TRY(As(ExitCode::kInternal, "prefix cache",
            session.Bind("image", nullptr, int64_t(images.size() * sizeof(float)))));
  return status;
}

// Rows are read back at other places of a batch than they were computed at. That kernels give the
// same bits at each place is tested; here this very plan shows it, on a batch that is moved on by
// one place.
absl::Status PrefixCache::CheckPlaces(const data::Batch& batch) {
  std::vector<float> moved = batch.images;
  const int64_t elems = int64_t(moved.size()) / source_.batch;
  std::rotate(moved.begin(), moved.end() - elems, moved.end());
  PT_TRY(Compute(moved));
  std::vector<uint8_t> rows = rows_;
  std::rotate(rows.begin(), rows.begin() + spec_.row_bytes, rows.end());
  PT_TRY(Compute(batch.images));
  if (rows == rows_) return absl::OkStatus();
  return absl::FailedPreconditionError("a row's bits depend on its place in the batch");
}

bool PrefixCache::AgreesWithStored(const data::Batch& batch) {
  std::vector<uint8_t> buffer(spec_.row_bytes);
  for (int64_t i = 0; i < source_.batch; ++i) {
    const int64_t row = RowOf(batch, i);
    if (!store_->Has(row)) continue;
    const absl::StatusOr<const uint8_t*> stored = store_->Get(row, buffer.data());
    if (!stored.ok() || std::memcmp(*stored, &rows_[i * spec_.row_bytes], spec_.row_bytes) != 0) {
      return false;
    }
  }
  return true;
}

absl::Status PrefixCache::Keep(const data::Batch& batch) {
  for (int64_t i = 0; i < source_.batch; ++i) {
    const int64_t row = RowOf(batch, i);
    if (store_->Has(row)) continue;
    PT_TRY(store_->Put(row, &rows_[i * spec_.row_bytes]));
    ++computed_;
  }
  return absl::OkStatus();
}

absl::Status PrefixCache::KeepBlank() {
  PT_TRY(Compute(std::vector<float>(source_.batch * source_.transform->elems())));
  return store_->Put(spec_.rows - 1, rows_.data());
}

absl::Status PrefixCache::Bind(const data::Batch& batch) {
  for (int64_t i = 0; i < source_.batch; ++i) {
    absl::StatusOr<const uint8_t*> row = store_->Get(RowOf(batch, i), &rows_[i * spec_.row_bytes]);
    if (!row.ok()) return row.status();
    pointers_[i] = *row;
  }
  return As(ExitCode::kInternal, "prefix cache",
            source_.session->BindPrefix(source_.schedule, pointers_));
}

void PrefixCache::Unbind() {
  // It was bound, or there is nothing to undo.
  (void)source_.session->BindPrefix(source_.schedule, {});
}

void PrefixCache::RemoveOwnFile() {
  if (own_file_) Remove();
}

}  // namespace pocketune
