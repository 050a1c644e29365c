// When loops had better run on the caller's thread alone.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pocketune {

// Where more threads want to run than there are cores, a loop waits for a worker that the system
// has put aside, a thousand times longer than the loop takes. After such a wait the next loops do
// without workers; then one wakes them, the one after it is a trial, and each failure doubles the
// time until the next, until many loops in a row did not wait. Not thread-safe: for the thread that
// starts the loops.
class BackOff {
 public:
  // Is the next loop to run alone? Counts down.
  bool Rests() {
    if (left_ == 0) return false;
    --left_;
    wakes_ = left_ == 0;
    return true;
  }

  // After a loop with workers: how long the caller waited with nothing left to do, and what one of
  // its own items took on average, for which a worker in its last item may keep it waiting.
  void Record(int64_t idle_ns, int64_t item_ns) {
    if (wakes_) {
      wakes_ = false;  // workers that slept through a rest come late on a machine that is idle, too
      return;
    }
    if (idle_ns <= kPatienceNs + 2 * item_ns) {
      good_ = std::min(good_ + 1, kProof);
      if (good_ == kProof) rest_ = kShortestRest;
      return;
    }
    good_ = 0;
    left_ = rest_;
    rest_ = std::min(2 * rest_, kLongestRest);
  }

 private:
  static constexpr int64_t kPatienceNs = 200'000;  // waking a sleeping thread takes less
  static constexpr int kShortestRest = 64, kLongestRest = 4096;  // loops
  static constexpr int kProof = 256;  // loops in a row: a core that is shared serves some by luck
  int left_ = 0;
  int good_ = 0;        // loops in a row that did not wait
  bool wakes_ = false;  // is the next loop with workers the first behind a rest?
  int rest_ = kShortestRest;
};

}  // namespace pocketune
