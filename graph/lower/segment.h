// The part of a plan file that holds values: parameters before training and constants.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// Collects tensors, each content once, and lays them out: those that steps read where
// they stand first, so that the pages which are brought into memory hold nothing else.
class Segment {
 public:
  // Returns a handle. `data` is kept alive. `resident`: steps read it where it stands.
  int Add(const HostData& data, bool resident);
  // Assigns offsets; call once, after all Adds.
  void LayOut();

  int64_t offset(int handle) const { return blobs_[handle].offset; }
  int64_t bytes() const { return bytes_; }
  int64_t resident_bytes() const { return resident_bytes_; }  // whole pages
  // Writes bytes() bytes.
  void CopyTo(char* out) const;

 private:
  struct Blob {
    HostData data;
    bool resident = false;
    int64_t offset = 0;
    int64_t bytes() const { return static_cast<int64_t>(data->size() * sizeof(float)); }
  };
  std::vector<Blob> blobs_;
  std::unordered_multimap<uint64_t, int> by_checksum_;
  int64_t bytes_ = 0;
  int64_t resident_bytes_ = 0;
};

}  // namespace pocketune
