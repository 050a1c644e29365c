#include "engine/runtime/thread_choice.h"

#include <algorithm>
#include <limits>

namespace pocketune {
namespace {

constexpr int64_t kUntimed = std::numeric_limits<int64_t>::max() / 16;
// In tenths: what running alone must gain, and from where on a run is slow for its way.
constexpr int64_t kGain = 11, kSlowdown = 13;

}  // namespace

bool ThreadChoice::Alone(int kind) {
  if (kind != kind_) {
    kind_ = kind;
    alone_ = chosen_ = false;
    tried_ = kTrial;
    left_ = kWarmUp;
    keep_ = kFewest;
    fastest_.fill(kUntimed);
  } else if (!Tries() && left_ == 0) {
    tried_ = 0;
    fastest_.fill(kUntimed);
  }
  if (Tries()) alone_ = tried_ % 2 == 1;
  return alone_ && threads_ > 1;
}

void ThreadChoice::Record(int64_t run_ns) {
  if (!Tries()) return Watch(run_ns);
  int64_t& fastest = fastest_[alone_ ? 1 : 0];
  fastest = std::min(fastest, run_ns);
  ++tried_;
  if (!alone_ && run_ns > kLongNs) tried_ = kTrial;
  if (!Tries()) Choose();
}

void ThreadChoice::Choose() {
  alone_ = kGain * fastest_[1] < 10 * fastest_[0];
  keep_ = alone_ == chosen_ ? std::min(2 * keep_, kMost) : kFewest;
  chosen_ = alone_;
  left_ = keep_;
  slow_ = 0;
}

// Other programs, or other cores under the same threads, may have changed which way is faster.
void ThreadChoice::Watch(int64_t run_ns) {
  --left_;
  const bool slow = 10 * run_ns > kSlowdown * fastest_[alone_ ? 1 : 0];
  slow_ = slow ? slow_ + 1 : 0;
  if (slow_ >= kSlow && keep_ - left_ >= kFewest) left_ = 0;
}

}  // namespace pocketune
