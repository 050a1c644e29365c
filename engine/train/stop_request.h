// What other threads ask of a training: to stop, to rest, to go on.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace pocketune {

// Any thread may call anything, but Rest, which is the training's own.
class StopRequest {
 public:
  // `signal` not 0 asks for a stop as Stop does; may be null.
  explicit StopRequest(const std::atomic<int>* signal) : signal_(signal) {}

  void Stop() { Set(&stop_, true); }
  void Pause() { Set(&pause_, true); }
  void Resume() { Set(&pause_, false); }
  bool resting() const { return resting_.load(); }

  bool stopped() const { return stop_.load() || (signal_ != nullptr && signal_->load() != 0); }
  // The wish to stop has been heard.
  void ClearStop() { stop_.store(false); }

  // Returns once nobody wants it to pause, or somebody wants it to stop.
  void Rest() {
    if (!pause_.load()) return;
    // A signal handler cannot wake anybody.
    constexpr auto kLook = std::chrono::milliseconds(20);
    std::unique_lock<std::mutex> lock(mutex_);
    resting_.store(true);
    while (pause_.load() && !stopped()) change_.wait_for(lock, kLook);
    resting_.store(false);
  }

 private:
  void Set(std::atomic<bool>* flag, bool value) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      flag->store(value);
    }
    change_.notify_all();
  }

  const std::atomic<int>* const signal_;
  std::mutex mutex_;
  std::condition_variable change_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> pause_{false};
  std::atomic<bool> resting_{false};
};

}  // namespace pocketune
