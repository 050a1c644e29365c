// A progress bar with time left on a terminal, plain lines otherwise.
#pragma once

#include <cstdint>
#include <string>

#include "apps/cli/common.h"
#include "pocketune/train.h"

namespace pocketune::cli {

// Writes to where Say does. On a terminal one line is redrawn at most ten times a second; elsewhere
// a line is printed every ten seconds and after each epoch.
class Progress {
 public:
  explicit Progress(const CommonFlags& flags);
  ~Progress() { Clear(); }

  void OnStep(const StepEvent& event);
  // One of several trainings ended, `seconds` each.
  void OnTrial(int64_t done, int64_t total, double seconds);
  void OnEpoch(const EpochEvent& event, int64_t epochs);
  // A line of its own, above the bar.
  void Note(const std::string& text);

 private:
  void Clear();
  // Draws or prints `text` unless it is too early for that.
  void Show(double fraction, const std::string& text);

  CommonFlags flags_;
  bool terminal_;
  bool drawn_ = false;
  double last_draw_ = 0.0;
  double seconds_per_step_ = 0.0;  // running mean
  double mean_loss_ = 0.0;
};

}  // namespace pocketune::cli
