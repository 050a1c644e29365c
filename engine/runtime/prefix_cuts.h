// Where to cut a frozen prefix: which values cross each cut, and how they make rows.
#pragma once

#include <cstdint>
#include <vector>

namespace pocketune {

// A value of the prefix. A cut behind depth d leaves the steps of depths 1 to d in front of it; the
// value crosses the cuts behind [from, until).
struct PrefixValue {
  uint32_t step = 0;      // that makes it
  int32_t tensor = 0;     // of the schedule
  int64_t first_row = 0;  // of the batch; [first_row, first_row + rows) lies within it
  int64_t rows = 1;
  int64_t bytes = 0;   // of one row, > 0
  int from = 1;        // its step's depth, >= 1
  int until = 0;       // depth of its last reader, INT_MAX where that is behind all cuts
  bool placed = true;  // in the arena: no cut that another value crosses will do
};

// A value that crosses the chosen cut: `bytes` per row from byte `offset` of each row on, for the
// rows [first_row, first_row + rows) of the batch.
struct PrefixPart {
  uint32_t step = 0;   // that makes it
  int32_t tensor = 0;  // of the schedule, in the arena, dense
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t offset = 0;
  int64_t bytes = 0;
};

// Compares the cuts. Plans are untrusted and may have as many depths as steps: what is done grows
// with the number of values times its logarithm, not with its square.
class PrefixCuts {
 public:
  // `values` in the order of their steps, `batch` >= 1 rows, depths from 1 to `deepest`.
  PrefixCuts(std::vector<PrefixValue> values, int64_t batch, int deepest);

  // The depth from `first` to `last` whose cut has the shortest rows, the deepest of equal ones,
  // and what crosses it; 0 where none will do. A cut will do where rows of one length, > 0, can be
  // made by laying its values one behind the other in the order of their steps.
  int Shortest(int first, int last, std::vector<PrefixPart>* parts, int64_t* row_bytes);

  // Values looked at so far.
  int64_t work() const { return work_; }

 private:
  // Of all that crosses a cut.
  struct Sums {
    uint64_t bytes = 0;    // of all rows
    int64_t unplaced = 0;  // values
    bool even = true;      // all rows are of one length
  };
  std::vector<Sums> SumUp();
  int64_t LayOut(int depth, std::vector<PrefixPart>* parts);

  const std::vector<PrefixValue> values_;
  const int64_t batch_;
  const int deepest_;
  int64_t work_ = 0;
};

}  // namespace pocketune
