// Who wrote each byte of an arena last.
#pragma once

#include <cstdint>
#include <map>

namespace pocketune {

class ByteOwners {
 public:
  // [offset, offset + bytes) now holds what `owner` put there. bytes > 0.
  void Write(int64_t offset, int64_t bytes, int32_t owner);
  // Does all of [offset, offset + bytes) hold what `owner` put there?
  bool Holds(int64_t offset, int64_t bytes, int32_t owner) const;

 private:
  // Makes a piece that crosses `at` two.
  void Cut(int64_t at);

  struct Piece {
    int64_t end;
    int32_t owner;
  };
  std::map<int64_t, Piece> pieces_;  // by where they begin; disjoint
};

}  // namespace pocketune
