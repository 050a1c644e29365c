// What comes before the steps of a training: loaders, and rows of frozen layers.
#include <algorithm>
#include <utility>

#include "engine/base/clock.h"
#include "engine/train/trainer_impl.h"

namespace pocketune {
namespace {

void AddEachOnce(const SampleSource* source, const std::vector<int64_t>& bad,
                 std::vector<BadSample>* list) {
  for (const int64_t sample : bad) {
    const bool there = std::any_of(list->begin(), list->end(), [&](const BadSample& b) {
      return b.source == source && b.sample == sample;
    });
    if (!there) list->push_back({source, sample});
  }
}

}  // namespace

Status Trainer::Impl::OpenFeed() {
  if (!state.done) OpenCaches();
  return MakeLoader();
}

Status Trainer::Impl::MakeLoader() {
  CloseLoader();  // before its threads would stand beside those of the next
  LoaderOptions options;
  options.inputs = inputs_;
  options.batch = batch;
  options.seed = spec_.seed;
  // A short batch would change the batch statistics; a set smaller than a batch has no other.
  options.drop_last = samples_->size() >= batch;
  options.size = loader_size();
  if (train_cache_ != nullptr) {
    options.from_rows = true;
    options.known_bad = train_cache_->bad();
  } else if (options_.cache_bytes.has_value() && !told_cache_bytes_) {
    samples_->SetCacheBytes(std::max<int64_t>(0, *options_.cache_bytes - cache_memory_));
    told_cache_bytes_ = true;
  }
  Result<std::unique_ptr<BatchLoader>> made = BatchLoader::Create(samples_, std::move(options));
  if (!made.ok()) return Blame(Part::kOptions, made.status());
  loader_ = std::move(made).value();
  loader_->Seek(state.step / per_epoch, state.step % per_epoch);
  return OkStatus();
}

void Trainer::Impl::CloseLoader() {
  if (loader_ == nullptr) return;
  AddBad(samples_, loader_->bad());
  loader_.reset();
}

void Trainer::Impl::AddBad(const SampleSource* source, const std::vector<int64_t>& bad) {
  AddEachOnce(source, bad, &bad_);
}

std::vector<BadSample> Trainer::Impl::Bad() const {
  std::vector<BadSample> all = bad_;
  if (loader_ != nullptr) AddEachOnce(samples_, loader_->bad(), &all);
  return all;
}

std::unique_ptr<RowCache> Trainer::Impl::OpenCache(const char* schedule, const char* name,
                                                   SampleSource* samples, const char* suffix) {
  const PrefixInfo prefix = session_->prefix(schedule);
  RowCacheOptions options = options_.prefix_cache;
  if (samples == nullptr || samples->size() == 0 || prefix.row_bytes == 0) return nullptr;
  if (options.where == "auto" && !RowCache::Pays(prefix)) return nullptr;
  options.memory_bytes -= cache_figures.bytes;  // what is left of both splits' budget
  if (options_.cache_bytes.has_value()) {
    options.counts_upkeep = true;
    options.memory_bytes = std::min(options.memory_bytes, *options_.cache_bytes - cache_memory_);
  }
  if (options.where != "auto") options.where += suffix;
  if (!options.own_path.empty()) options.own_path += suffix;
  const RowCache::Source source = {session_, schedule, samples, name, batch};
  std::unique_ptr<RowCache> cache =
      RowCache::Open(source, options, [this](const std::string& text) { Note(text); });
  if (cache == nullptr) return nullptr;
  const Status filled =
      cache->Fill(loader_size(), [this] { return request.stopped() || OutOfTime(); });
  if (filled.ok()) {
    cache_memory_ += RowCache::UpkeepBytes(source) + (cache->in_file() ? 0 : cache->bytes());
    cache_figures.bytes += cache->bytes();
    cache_figures.in_file = cache_figures.in_file || cache->in_file();
    cache_figures.computed += cache->computed();
    return cache;
  }
  if (filled.code() != StatusCode::kCancelled) {
    Note("prefix cache: off: " + cache->TextOf(filled));
    cache->Remove();
  }
  return nullptr;
}

void Trainer::Impl::OpenCaches() {
  cache_figures = {};
  const std::string& where = options_.prefix_cache.where;
  if (where == "off") return;
  const int variants = samples_->Variants();
  const int64_t left = schedule.total_steps - state.step;
  const bool again = left > per_epoch;  // into another epoch
  if (where != "auto" && (variants == 0 || session_->prefix("train").row_bytes == 0)) {
    Note(variants == 0 ? std::string("prefix cache: not for training, whose ") + samples_->what() +
                             " are cropped anew"
                       : std::string("prefix cache: off, the first layers learn"));
  }
  const double begin = NowSeconds();
  // To fill it takes an epoch's work for each way in which a sample may come.
  if (variants > 0 && left > variants * per_epoch) {
    train_cache_ = OpenCache("train", "train", samples_, "");
  }
  if (again) val_cache_ = OpenCache("eval", "val", validation_, ".val");
  if (train_cache_ == nullptr && val_cache_ == nullptr) return;
  cache_figures.fill_seconds = NowSeconds() - begin;
  Note(Format("prefix cache: %.1f MB in %s, %lld of the frozen layers' rows computed in %.1f s",
              static_cast<double>(cache_figures.bytes) / 1e6,
              cache_figures.in_file ? "a file" : "memory",
              static_cast<long long>(cache_figures.computed), cache_figures.fill_seconds));
}

}  // namespace pocketune
