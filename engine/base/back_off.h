// When loops had better run on the caller's thread alone.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pocketune {

// Where more threads want to run than there are cores, a loop waits for a worker that the system
// has put aside, a thousand times longer than the loop takes. Where loops have waited longer than
// what their workers did would have taken the caller, the next ones do without workers; then one
// wakes them, those after it are a trial, and each failure doubles the time until the next, until
// trials have succeeded for a while. Not thread-safe: for the thread that starts the loops.
class BackOff {
 public:
  // Is the next loop to run alone? Counts down.
  bool Rests() {
    if (left_ == 0) return false;
    --left_;
    wakes_ = left_ == 0;
    return true;
  }

  // The workers may have gone to sleep, and the next loop with them is to wake them: on a machine
  // that is idle they come late, too, so that it is not judged.
  void Wakes() { wakes_ = true; }

  // After a loop with workers: how long the caller waited with nothing left to do, and how long it
  // would have taken for what they did.
  void Record(int64_t idle_ns, int64_t saved_ns) {
    if (wakes_) {
      wakes_ = false;
      return;
    }
    idle_ns_ += idle_ns;
    saved_ns_ += saved_ns;
    if (idle_ns_ + saved_ns_ < kTrialNs) return;
    const bool pays = idle_ns_ <= saved_ns_;
    idle_ns_ = saved_ns_ = 0;
    if (pays) {
      good_ = std::min(good_ + 1, kProof);
      if (good_ == kProof) rest_ = kShortestRest;
      return;
    }
    good_ = 0;
    left_ = rest_;
    rest_ = std::min(2 * rest_, kLongestRest);
  }

 private:
  static constexpr int64_t kTrialNs = 500'000;                   // some loops, or one that is long
  static constexpr int kShortestRest = 64, kLongestRest = 4096;  // loops
  static constexpr int kProof = 16;  // trials in a row: a core that is shared serves some by luck
  int64_t idle_ns_ = 0, saved_ns_ = 0;  // of this trial
  int left_ = 0;
  int good_ = 0;        // trials in a row that paid
  bool wakes_ = false;  // is the next loop with workers to wake them?
  int rest_ = kShortestRest;
};

}  // namespace pocketune
