// Rows of equal length by number, in memory or in a file that later runs find again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pocketune/status.h"

namespace pocketune {

// What makes a row the right one. A file whose `identity` or sizes differ holds nothing of use; one
// whose key for a row differs lacks that row.
struct RowStoreSpec {
  uint64_t identity = 0;
  int64_t row_bytes = 0;
  int64_t rows = 0;
  std::vector<uint64_t> keys;    // one per row; for files
  const char* what = "samples";  // what rows are made of, for notices
};

// One thread at a time.
class RowStore {
 public:
  virtual ~RowStore() = default;
  // RESOURCE_EXHAUSTED where there is no memory.
  static Result<std::unique_ptr<RowStore>> InMemory(const RowStoreSpec& spec);
  // Opens or makes the file, takes the disk space of all rows, and holds a lock on it. What is not
  // usable in it is dropped, and `notice`, else empty, says so. Errors, after which a file that was
  // not one of ours is as it was: UNAVAILABLE (no space, cannot be opened; detail = errno),
  // FAILED_PRECONDITION (another process has it, or it is no such file).
  static Result<std::unique_ptr<RowStore>> InFile(const std::string& path, const RowStoreSpec& spec,
                                                  std::string* notice);

  virtual bool Has(int64_t row) const = 0;
  // `data` has row_bytes. UNAVAILABLE where writing failed.
  virtual Status Put(int64_t row, const uint8_t* data) = 0;
  // A row that is there: in the store's memory, or in `buffer` of row_bytes. DATA_LOSS where its
  // checksum is wrong, UNAVAILABLE where it cannot be read.
  virtual Result<const uint8_t*> Get(int64_t row, uint8_t* buffer) const = 0;
  // Forgets all rows.
  virtual void Clear() = 0;
  // Deletes the file. No other call may follow.
  virtual void Remove() = 0;
};

// Bytes on disk of a file of that many rows.
int64_t RowFileBytes(int64_t rows, int64_t row_bytes);

}  // namespace pocketune
