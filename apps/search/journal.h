// The trials of a search as they end, so that a kill loses none.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "apps/search/trial.h"

namespace pocketune {

// A file of lines: the first says what was searched, each other one is a trial, as JSON behind its
// checksum. A line that a kill cut short is dropped when the file is opened again, a damaged one is
// passed over; either costs its own trial alone. Locked while it is open.
class Journal {
 public:
  // `header` is one line that says all that decides the trials. kUsage where the file has another
  // or is no journal, kIo where it cannot be read or written, kLocked where another search has it.
  static absl::StatusOr<Journal> Open(const std::string& path, const std::string& header);
  ~Journal();
  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&&) = delete;

  // The trial of that key, or null.
  const TrialResult* Find(const std::string& key) const;
  // On the disk when it returns.
  absl::Status Add(const std::string& key, const TrialResult& result);
  size_t size() const { return trials_.size(); }
  // One line on what was found damaged; empty where nothing was.
  const std::string& damage() const { return damage_; }

 private:
  Journal(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  size_t ReadLines(const std::string& text);
  absl::Status Append(const std::string& line);

  std::string path_;
  int fd_;
  std::map<std::string, TrialResult> trials_;
  std::string damage_;
};

}  // namespace pocketune
