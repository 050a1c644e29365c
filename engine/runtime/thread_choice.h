// Whether a schedule had better run on the caller's thread alone.
#pragma once

#include <array>
#include <cstdint>

namespace pocketune {

// Steps of a few microseconds gain nothing from more threads where their data must cross from one
// core's cache to another's, and how long that takes depends on which cores the system gives. So a
// schedule is tried out: runs with all threads and runs on the caller's alone, in turns. The faster
// way serves the next runs, more of them each time a trial confirms it, fewer where they become
// slow. Results do not depend on the way (ThreadPool), only their time does. Knows no clock: who
// runs the schedule says how long it took. Not thread-safe.
class ThreadChoice {
 public:
  static constexpr int kWarmUp = 3;                // runs before the first trial
  static constexpr int kTrial = 6;                 // runs, every other one alone
  static constexpr int kFewest = 8, kMost = 1024;  // runs between trials
  static constexpr int kSlow = 8;                  // in a row, for an early trial
  static constexpr int64_t kLongNs = 20'000'000;   // longer runs keep all threads

  // With one thread there is nothing to choose.
  explicit ThreadChoice(int threads) : threads_(threads) {}

  // Before each run of the schedule; is it to run on the caller's thread alone? Runs of another
  // `kind`, of other steps, start anew.
  bool Alone(int kind);
  // After each run: how long it took.
  void Record(int64_t run_ns);

 private:
  bool Tries() const { return tried_ < kTrial; }
  void Choose();
  void Watch(int64_t run_ns);

  const int threads_;
  int kind_ = -1;
  int tried_ = kTrial;  // runs of this trial
  int left_ = 0;        // runs until the next
  int keep_ = kFewest;  // runs from this trial to the next
  int slow_ = 0;        // runs in a row
  bool alone_ = false;
  bool chosen_ = false;                  // by the last trial
  std::array<int64_t, 2> fastest_ = {};  // run with all threads, run on one, in ns
};

}  // namespace pocketune
