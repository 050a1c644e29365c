#include "apps/search/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/train/exit_code.h"
#include "engine/base/checksum.h"
#include "engine/base/file_io.h"

namespace pocketune {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxBytes = int64_t{64} << 20;

absl::Status IoError(const std::string& path, int error) {
  return Fail(ExitCode::kIo, absl::StrCat(path, ": ", std::strerror(error)));
}

// JSON has no infinity: null stands for it.
Json NumberOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(); }

std::string WithChecksum(const std::string& text) {
  return absl::StrFormat("%016x %s", Checksum(text.data(), text.size()), text);
}

bool ReadTrial(const std::string& line, std::map<std::string, TrialResult>* trials) {
  const size_t space = line.find(' ');
  if (space == std::string::npos || line != WithChecksum(line.substr(space + 1))) return false;
  const Json json = Json::parse(line.substr(space + 1), nullptr, false);
  if (!json.is_object() || !json.contains("trial") || !json["trial"].is_string()) return false;
  TrialResult result;
  const auto read = [&](const char* key, double missing, double* to) {
    const auto at = json.find(key);
    *to = at != json.end() && at->is_number() ? at->get<double>() : missing;
  };
  read("val_loss", std::numeric_limits<double>::infinity(), &result.val_loss);
  read("val_accuracy", 0, &result.val_accuracy);
  read("step_ms", 0, &result.step_ms);
  (*trials)[json["trial"].get<std::string>()] = result;
  return true;
}

}  // namespace

Journal::Journal(Journal&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      trials_(std::move(other.trials_)) {}

Journal::~Journal() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<Journal> Journal::Open(const std::string& path, const std::string& header) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return IoError(path, errno);
  Journal journal(path, fd);
  Result<std::vector<uint8_t>> bytes = ReadFile(path.c_str(), kMaxBytes);
  if (!bytes.ok()) return As(ExitCode::kIo, path, bytes.status());
  const std::string text(bytes.value().begin(), bytes.value().end());
  const size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
  for (size_t at = 0; at < whole;) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    if (at == 0 && line != header) {
      return Fail(ExitCode::kUsage,
                  path + ": holds another search; take another --out or remove this file");
    }
    if (at > 0 && !ReadTrial(line, &journal.trials_)) {
      return Fail(ExitCode::kData, path + ": is damaged; remove it to start anew");
    }
    at = end + 1;
  }
  if (ftruncate(fd, static_cast<off_t>(whole)) != 0 || lseek(fd, 0, SEEK_END) < 0) {
    return IoError(path, errno);
  }
  if (whole == 0) PT_TRY(journal.Append(header));
  return journal;
}

const TrialResult* Journal::Find(const std::string& key) const {
  const auto at = trials_.find(key);
  return at == trials_.end() ? nullptr : &at->second;
}

absl::Status Journal::Add(const std::string& key, const TrialResult& result) {
  const Json json = {{"trial", key},
                     {"val_loss", NumberOrNull(result.val_loss)},
                     {"val_accuracy", result.val_accuracy},
                     {"step_ms", result.step_ms}};
  PT_TRY(Append(WithChecksum(json.dump())));
  trials_[key] = result;
  return absl::OkStatus();
}

absl::Status Journal::Append(const std::string& line) {
  const std::string text = line + "\n";
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = write(fd_, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return IoError(path_, errno);
    done += static_cast<size_t>(n);
  }
  return fsync(fd_) == 0 ? absl::OkStatus() : IoError(path_, errno);
}

}  // namespace pocketune
