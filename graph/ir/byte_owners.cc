#include "graph/ir/byte_owners.h"

#include <iterator>

namespace pocketune {

void ByteOwners::Cut(int64_t at) {
  auto it = pieces_.lower_bound(at);
  if (it == pieces_.begin()) return;
  Piece& piece = std::prev(it)->second;
  if (piece.end <= at) return;
  pieces_[at] = piece;
  piece.end = at;
}

void ByteOwners::Write(int64_t offset, int64_t bytes, int32_t owner) {
  const int64_t end = offset + bytes;
  Cut(offset);
  Cut(end);
  pieces_.erase(pieces_.lower_bound(offset), pieces_.lower_bound(end));
  pieces_[offset] = {end, owner};
}

bool ByteOwners::Holds(int64_t offset, int64_t bytes, int32_t owner) const {
  const int64_t end = offset + bytes;
  for (int64_t at = offset; at < end;) {
    auto it = pieces_.upper_bound(at);
    if (it == pieces_.begin()) return false;
    const Piece& piece = std::prev(it)->second;
    if (piece.end <= at || piece.owner != owner) return false;
    at = piece.end;
  }
  return true;
}

}  // namespace pocketune
