#include "engine/runtime/prefix_cuts.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_map>
#include <utility>

#include "engine/base/math.h"

namespace pocketune {
namespace {

// Cuts whose sums look right are laid out one by one, most of the time the first alone. Among a
// thousand values all cuts may be, among more of them at least so many.
constexpr int64_t kMostWork = 1 << 20;
constexpr int64_t kMostTries = 64;

// Lengths of the batch's rows while parts are laid behind them, by the first row of each range of
// rows of one length.
class RowEnds {
 public:
  explicit RowEnds(int64_t batch) : batch_(batch) { ends_[0] = 0; }

  // Lays `bytes` behind each row of the range, which must be of one length; that length, or -1.
  int64_t Append(int64_t first, int64_t rows, int64_t bytes) {
    auto at = std::prev(ends_.upper_bound(first));
    const auto next = std::next(at);
    const int64_t last = next == ends_.end() ? batch_ : next->first;
    const int64_t offset = at->second;
    int64_t end;
    if (first + rows > last || !CheckedAdd(offset, bytes, &end)) return -1;
    if (first + rows < last) ends_.emplace_hint(next, first + rows, offset);
    at = ends_.insert_or_assign(first, end).first;
    MergeAt(std::next(at));
    MergeAt(at);
    return offset;
  }

  bool even() const { return ends_.size() == 1; }
  int64_t first() const { return ends_.begin()->second; }

 private:
  // Makes the range one with that in front of it where they are of one length.
  void MergeAt(std::map<int64_t, int64_t>::iterator at) {
    if (at == ends_.begin() || at == ends_.end() || std::prev(at)->second != at->second) return;
    ends_.erase(at);
  }

  const int64_t batch_;
  std::map<int64_t, int64_t> ends_;
};

// How much longer each row is than the one in front of it.
class RowSteps {
 public:
  explicit RowSteps(int64_t batch) : batch_(batch) {}

  void Add(int64_t first, int64_t rows, int64_t bytes) {
    Change(first, bytes);
    Change(first + rows, -bytes);
  }
  bool even() const { return uneven_ == 0; }

 private:
  void Change(int64_t row, int64_t bytes) {
    if (row == 0 || row == batch_) return;
    uint64_t& step = steps_[row];  // wraps, and comes back
    uneven_ -= step != 0 ? 1 : 0;
    step += static_cast<uint64_t>(bytes);
    uneven_ += step != 0 ? 1 : 0;
  }

  const int64_t batch_;
  std::unordered_map<int64_t, uint64_t> steps_;
  int64_t uneven_ = 0;
};

}  // namespace

PrefixCuts::PrefixCuts(std::vector<PrefixValue> values, int64_t batch, int deepest)
    : values_(std::move(values)), batch_(batch), deepest_(deepest) {}

// Goes through the depths once: a value comes in at its own and goes out at its last reader's.
std::vector<PrefixCuts::Sums> PrefixCuts::SumUp() {
  struct Event {
    int depth;
    bool in;
    const PrefixValue* value;
  };
  std::vector<Event> events;
  events.reserve(2 * values_.size());
  for (const PrefixValue& value : values_) {
    if (value.until <= value.from) continue;
    events.push_back({value.from, true, &value});
    if (value.until <= deepest_) events.push_back({value.until, false, &value});
  }
  std::sort(events.begin(), events.end(),
            [](const Event& a, const Event& b) { return a.depth < b.depth; });
  std::vector<Sums> sums(static_cast<size_t>(deepest_) + 1);
  RowSteps steps(batch_);
  Sums now;
  auto event = events.begin();
  for (int depth = 1; depth <= deepest_; ++depth) {
    for (; event != events.end() && event->depth == depth; ++event, ++work_) {
      const PrefixValue& v = *event->value;
      const int64_t bytes = event->in ? v.bytes : -v.bytes;
      now.bytes += static_cast<uint64_t>(bytes) * static_cast<uint64_t>(v.rows);
      now.unplaced += v.placed ? 0 : (event->in ? 1 : -1);
      steps.Add(v.first_row, v.rows, bytes);
    }
    now.even = steps.even();
    sums[static_cast<size_t>(depth)] = now;
  }
  return sums;
}

// Row bytes, or 0 where the cut will not do.
int64_t PrefixCuts::LayOut(int depth, std::vector<PrefixPart>* parts) {
  parts->clear();
  RowEnds ends(batch_);
  for (const PrefixValue& v : values_) {
    ++work_;
    if (v.from > depth || v.until <= depth) continue;
    const int64_t offset = ends.Append(v.first_row, v.rows, v.bytes);
    if (offset < 0) return 0;
    parts->push_back({v.step, v.tensor, v.first_row, v.rows, offset, v.bytes});
  }
  return ends.even() ? ends.first() : 0;
}

int PrefixCuts::Shortest(int first, int last, std::vector<PrefixPart>* parts, int64_t* row_bytes) {
  const std::vector<Sums> sums = SumUp();
  const auto bytes_at = [&](int depth) { return sums[static_cast<size_t>(depth)].bytes; };
  std::vector<int> depths;
  for (int depth = std::min(last, deepest_); depth >= std::max(first, 1); --depth) {
    const Sums& sum = sums[static_cast<size_t>(depth)];
    if (sum.unplaced == 0 && sum.even && sum.bytes > 0) depths.push_back(depth);
  }
  std::stable_sort(depths.begin(), depths.end(),
                   [&](int a, int b) { return bytes_at(a) < bytes_at(b); });
  const int64_t most_work =
      work_ + std::max(kMostWork, kMostTries * static_cast<int64_t>(values_.size()));
  for (const int depth : depths) {
    if (work_ > most_work) break;
    *row_bytes = LayOut(depth, parts);
    if (*row_bytes > 0) return depth;
  }
  parts->clear();
  *row_bytes = 0;
  return 0;
}

}  // namespace pocketune
