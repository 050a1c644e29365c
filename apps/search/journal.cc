#include "apps/search/journal.h"

#include <fcntl.h>
#include <sys/file.h>
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
#include "graph/base/status_macros.h"

namespace pocketune {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxBytes = int64_t{64} << 20;
constexpr size_t kChecksumDigits = 16;

absl::Status IoError(const std::string& path, int error) {
  return Fail(ExitCode::kIo, absl::StrCat(path, ": ", std::strerror(error)));
}

// JSON has no infinity: null stands for it.
Json NumberOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(); }

std::string WithChecksum(const std::string& text) {
  return absl::StrFormat("%0*x %s", int{kChecksumDigits}, Checksum(text.data(), text.size()), text);
}

bool ReadWhole(const std::string& line, std::map<std::string, TrialResult>* trials) {
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

// Where the end of a line was lost, the next one stands behind it: that one is read all the same.
// False where anything is damaged.
bool ReadTrial(const std::string& line, std::map<std::string, TrialResult>* trials) {
  if (ReadWhole(line, trials)) return true;
  constexpr char kBegin[] = " {\"";  // not within a string of JSON, whose quotes have backslashes
  const size_t begin = line.rfind(kBegin);
  if (begin != std::string::npos && begin >= kChecksumDigits) {
    ReadWhole(line.substr(begin - kChecksumDigits), trials);
  }
  return false;
}

// May the file be a journal of this search? One that a kill ended within its first line may.
absl::Status CheckHeader(const std::string& path, const std::string& text,
                         const std::string& header) {
  const size_t end = text.find('\n');
  if (end == std::string::npos) {
    const std::string begun = text.substr(0, text.find_last_not_of('\0') + 1);
    if (header.compare(0, begun.size(), begun) == 0) return absl::OkStatus();
  } else if (text.compare(0, end, header) == 0) {
    return absl::OkStatus();
  }
  const Json json = Json::parse(text.substr(0, end), nullptr, false);
  const bool whole = json.is_object() && json.contains("search");
  return Fail(
      ExitCode::kUsage,
      absl::StrCat(
          path, whole ? ": holds another search" : ": is no search's, or its first line is damaged",
          "; take another --out or remove this file"));
}

}  // namespace

Journal::Journal(Journal&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      trials_(std::move(other.trials_)),
      damage_(std::move(other.damage_)) {}

Journal::~Journal() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<Journal> Journal::Open(const std::string& path, const std::string& header) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return IoError(path, errno);
  Journal journal(path, fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return IoError(path, errno);
    return Fail(ExitCode::kLocked, path + ": another search is at work on it");
  }
  Result<std::vector<uint8_t>> bytes = ReadFile(path.c_str(), kMaxBytes);
  if (!bytes.ok()) return As(ExitCode::kIo, path, bytes.status());
  const std::string text(bytes.value().begin(), bytes.value().end());
  PT_TRY(CheckHeader(path, text, header));
  const size_t whole = journal.ReadLines(text);
  if (ftruncate(fd, static_cast<off_t>(whole)) != 0 || lseek(fd, 0, SEEK_END) < 0) {
    return IoError(path, errno);
  }
  if (whole == 0) PT_TRY(journal.Append(header));
  return journal;
}

// Bytes of the lines that are whole. What is damaged costs the trials of those lines alone.
size_t Journal::ReadLines(const std::string& text) {
  int damaged = 0, number = 0, first = 0;
  size_t at = 0;
  for (size_t end; at < text.size(); at = end + 1) {
    end = text.find('\n', at);
    ++number;
    const bool good =
        end != std::string::npos && (number == 1 || ReadTrial(text.substr(at, end - at), &trials_));
    if (!good && damaged++ == 0) first = number;
    if (end == std::string::npos) break;
  }
  if (damaged > 0) {
    damage_ = absl::StrCat(path_, ": ", damaged, damaged == 1 ? " line is" : " lines are",
                           " damaged or cut short and left out (the first is line ", first,
                           "); what they held is tried again");
  }
  return at;
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
