#include "engine/train/row_cache.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "engine/base/status_text.h"

namespace pocketune {
namespace {

// Below these the cache is not worth its room: rates of a fast processor and of a slow memory.
constexpr double kMinSavedShare = 0.05;
constexpr double kMacsPerSecond = 20e9;
constexpr double kRowBytesPerSecond = 1e9;

std::string Megabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

int64_t BytesOf(const PortInfo& port) { return port.shape.elems() * SizeOf(port.dtype); }

std::vector<PortInfo> DataInputs(const RowCache::Source& source) {
  std::vector<PortInfo> inputs = source.session->inputs(source.schedule);
  std::erase_if(inputs, [](const PortInfo& port) { return port.role != PortRole::kData; });
  return inputs;
}

int64_t InputBytes(const RowCache::Source& source) {
  int64_t bytes = 0;
  for (const PortInfo& port : DataInputs(source)) bytes += BytesOf(port);
  return bytes;
}

int64_t FreeBytesBeside(const std::string& path) {
  struct statvfs info;
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (statvfs(folder.c_str(), &info) != 0) return 0;
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

}  // namespace

bool RowCache::Pays(const PrefixInfo& prefix) {
  if (prefix.row_bytes == 0) return false;
  const double macs = static_cast<double>(prefix.macs);
  return macs >= kMinSavedShare * (macs + static_cast<double>(prefix.rest_macs)) &&
         macs / kMacsPerSecond > static_cast<double>(prefix.row_bytes) / kRowBytesPerSecond;
}

int64_t RowCache::UpkeepBytes(const Source& source) {
  constexpr int64_t kSampleBytes = 96;  // of the tables here and in the store, for each variant
  // CheckPlaces has a batch of both twice; what the loader has is not counted here.
  return source.samples->size() * source.samples->Variants() * kSampleBytes +
         source.batch * 2 * source.session->prefix(source.schedule).row_bytes + InputBytes(source);
}

RowCache::RowCache(const Source& source, const Notes& note)
    : source_(source),
      note_(note),
      variants_(source.samples->Variants()),
      inputs_(DataInputs(source)),
      pointers_(static_cast<size_t>(source.batch)) {
  spec_.row_bytes = source_.session->prefix(source_.schedule).row_bytes;
  spec_.rows = source_.samples->size() * variants_ + 1;
  spec_.what = source_.samples->what();
  rows_.resize(static_cast<size_t>(source_.batch * spec_.row_bytes));
}

RowCache::~RowCache() { Unbind(); }

std::string RowCache::TextOf(const Status& status) const {
  if (in_file_) return pocketune::TextOf(path_, status);
  return status.message();
}

std::unique_ptr<RowCache> RowCache::Open(const Source& source, const RowCacheOptions& options,
                                         const Notes& note) {
  if (source.session->prefix(source.schedule).row_bytes == 0) return nullptr;
  if (source.samples->Variants() < 1) return nullptr;
  const int64_t upkeep = options.counts_upkeep ? UpkeepBytes(source) : 0;
  if (upkeep > options.memory_bytes) {
    note("prefix cache: off, it takes " + Megabytes(upkeep) + " beside its rows, of " +
         Megabytes(options.memory_bytes) + " left");
    return nullptr;
  }
  const int64_t row_bytes = options.memory_bytes - upkeep;
  std::unique_ptr<RowCache> cache(new RowCache(source, note));
  if (options.where != "auto" && cache->UseFile(options.where)) return cache;
  if (cache->bytes() <= row_bytes && cache->UseMemory()) return cache;
  if (options.where != "auto") return nullptr;
  const int64_t file_bytes = RowFileBytes(cache->spec_.rows, cache->spec_.row_bytes);
  const int64_t limit = options.own_path.empty()
                            ? 0
                            : std::min(options.file_bytes, FreeBytesBeside(options.own_path) / 2);
  if (file_bytes > limit) {
    note("prefix cache: off, what the frozen layers make of " +
         std::to_string(source.samples->size()) + " " + source.samples->what() +
         " has no room (got " + Megabytes(file_bytes) + ", want at most " + Megabytes(row_bytes) +
         " in memory or " + Megabytes(limit) + " on disk)");
    return nullptr;
  }
  cache->own_file_ = true;
  return cache->UseFile(options.own_path) ? std::move(cache) : nullptr;
}

bool RowCache::UseMemory() {
  Result<std::unique_ptr<RowStore>> store = RowStore::InMemory(spec_);
  if (store.ok()) store_ = std::move(store).value();
  return store.ok();
}

bool RowCache::UseFile(const std::string& path) {
  Status status = Describe();
  if (status.ok()) {
    std::string notice;
    Result<std::unique_ptr<RowStore>> store = RowStore::InFile(path, spec_, &notice);
    if (!notice.empty()) note_("prefix cache: " + notice);
    if (store.ok()) store_ = std::move(store).value();
    status = store.status();
  }
  in_file_ = status.ok();
  path_ = path;
  if (!status.ok()) note_("prefix cache: not in a file: " + pocketune::TextOf(path, status));
  return status.ok();
}

// What tells a file's rows from those of other weights and samples.
Status RowCache::Describe() {
  const Result<uint64_t> prefix = source_.session->PrefixIdentity(source_.schedule);
  if (!prefix.ok()) return prefix.status();
  spec_.identity = source_.samples->Identity(prefix.value());
  spec_.keys.clear();
  for (int64_t sample = 0; sample < source_.samples->size(); ++sample) {
    const Result<uint64_t> key = source_.samples->Checksum(sample);
    if (!key.ok()) return key.status();
    spec_.keys.insert(spec_.keys.end(), static_cast<size_t>(variants_), key.value());
  }
  spec_.keys.push_back(0);
  return OkStatus();
}

// The first batch always: it is what the checks look at. Then what is missing.
std::vector<int64_t> RowCache::ToCompute(int variant) const {
  std::vector<int64_t> samples;
  for (int64_t i = 0; i < source_.samples->size(); ++i) {
    if (i < source_.batch || !store_->Has(RowOf(i, variant))) samples.push_back(i);
  }
  return samples;
}

Status RowCache::Fill(LoaderSize loader_size, const std::function<bool()>& stop) {
  for (int variant = 0; variant < variants_; ++variant) {
    PT_RETURN_IF_ERROR(FillWith(variant, loader_size, stop));
  }
  return store_->Has(spec_.rows - 1) ? OkStatus() : KeepBlank();
}

Status RowCache::FillWith(int variant, LoaderSize loader_size, const std::function<bool()>& stop) {
  LoaderOptions options =
      LoaderOptions::Eval(source_.session->inputs(source_.schedule), source_.batch, loader_size);
  options.samples = ToCompute(variant);
  options.variant = variant;
  options.tolerate_bad = true;
  std::string note = "prefix cache: computing what the frozen layers make of " +
                     std::to_string(options.samples.size()) + " " + source_.name + " " +
                     source_.samples->what();
  const std::string variant_name = source_.samples->VariantName(variant);
  if (!variant_name.empty()) note += ", " + variant_name;
  note_(note);
  Result<std::unique_ptr<BatchLoader>> loader =
      BatchLoader::Create(source_.samples, std::move(options));
  if (!loader.ok()) return loader.status();
  for (bool first = true;; first = false) {
    const Result<const Batch*> next = loader.value()->Next();
    if (!next.ok()) return next.status();
    if (next.value() == nullptr) break;
    if (stop()) return Status(StatusCode::kCancelled, "stopped");
    const Batch& batch = *next.value();
    if (first) {
      PT_RETURN_IF_ERROR(CheckPlaces(batch));
      if (!AgreesWithStored(batch)) {
        note_("prefix cache: the file's rows are not what this machine computes; begun anew");
        store_->Clear();
        return Fill(loader_size, stop);
      }
    } else {
      PT_RETURN_IF_ERROR(Compute(batch));
    }
    PT_RETURN_IF_ERROR(Keep(batch));
  }
  bad_.insert(loader.value()->bad().begin(), loader.value()->bad().end());
  return OkStatus();
}

// Rows of a batch of samples, to rows_.
Status RowCache::Compute(const std::vector<const uint8_t*>& data) {
  Session& session = *source_.session;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    PT_RETURN_IF_ERROR(session.Bind(inputs_[i].name, data[i], BytesOf(inputs_[i])));
  }
  const Status status = session.ComputePrefix(source_.schedule, rows_);
  UnbindInputs(session, inputs_);
  return status;
}

Status RowCache::Compute(const Batch& batch) {
  std::vector<const uint8_t*> data;
  for (const PortInfo& port : inputs_) data.push_back(batch.Find(port.name)->data);
  return Compute(data);
}

// Rows are read back at other places of a batch than they were computed at. That kernels give the
// same bits at each place is tested; here this very plan shows it, on a batch that is moved on by
// one place.
Status RowCache::CheckPlaces(const Batch& batch) {
  std::vector<std::vector<uint8_t>> moved;
  std::vector<const uint8_t*> data;
  for (const PortInfo& port : inputs_) {
    const uint8_t* const from = batch.Find(port.name)->data;
    std::vector<uint8_t>& to = moved.emplace_back(from, from + BytesOf(port));
    std::rotate(to.begin(), to.end() - BytesOf(port) / source_.batch, to.end());
    data.push_back(to.data());
  }
  PT_RETURN_IF_ERROR(Compute(data));
  std::vector<uint8_t> rows = rows_;
  std::rotate(rows.begin(), rows.begin() + spec_.row_bytes, rows.end());
  PT_RETURN_IF_ERROR(Compute(batch));
  if (rows == rows_) return OkStatus();
  return Status(StatusCode::kFailedPrecondition, "a row's bits depend on its place in the batch");
}

bool RowCache::AgreesWithStored(const Batch& batch) {
  std::vector<uint8_t> buffer(static_cast<size_t>(spec_.row_bytes));
  for (int64_t i = 0; i < source_.batch; ++i) {
    const int64_t row = RowOf(batch, i);
    if (!store_->Has(row)) continue;
    const Result<const uint8_t*> stored = store_->Get(row, buffer.data());
    if (!stored.ok() || std::memcmp(stored.value(), RowAt(i), buffer.size()) != 0) return false;
  }
  return true;
}

Status RowCache::Keep(const Batch& batch) {
  for (int64_t i = 0; i < source_.batch; ++i) {
    const int64_t row = RowOf(batch, i);
    if (store_->Has(row)) continue;
    PT_RETURN_IF_ERROR(store_->Put(row, RowAt(i)));
    ++computed_;
  }
  return OkStatus();
}

Status RowCache::KeepBlank() {
  std::vector<std::vector<uint8_t>> blank;
  std::vector<const uint8_t*> data;
  for (const PortInfo& port : inputs_) {
    data.push_back(blank.emplace_back(static_cast<size_t>(BytesOf(port))).data());
  }
  PT_RETURN_IF_ERROR(Compute(data));
  return store_->Put(spec_.rows - 1, rows_.data());
}

Status RowCache::Bind(const Batch& batch) {
  for (int64_t i = 0; i < source_.batch; ++i) {
    const Result<const uint8_t*> row = store_->Get(RowOf(batch, i), RowAt(i));
    if (!row.ok()) return row.status();
    pointers_[static_cast<size_t>(i)] = row.value();
  }
  return source_.session->BindPrefix(source_.schedule, pointers_);
}

void RowCache::Unbind() {
  // It was bound, or there is nothing to undo.
  (void)source_.session->BindPrefix(source_.schedule, {});
}

void RowCache::RemoveOwnFile() {
  if (own_file_) Remove();
}

}  // namespace pocketune
