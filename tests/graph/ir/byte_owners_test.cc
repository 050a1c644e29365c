#include "graph/ir/byte_owners.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/base/rng.h"

namespace pocketune {
namespace {

TEST(ByteOwnersTest, AgreesWithAnArrayOfOwners) {
  constexpr int kBytes = 61;
  const RandomStream random(7, "owners");
  ByteOwners owners;
  std::vector<int32_t> array(kBytes, -1);
  int held = 0;
  for (uint64_t i = 0; i < 2000; ++i) {
    const int64_t offset = random.Below(4 * i, kBytes);
    const int64_t bytes = 1 + random.Below(4 * i + 1, static_cast<uint32_t>(kBytes - offset));
    const int32_t owner = static_cast<int32_t>(random.Below(4 * i + 2, 3));
    if (i % 3 == 0) {
      owners.Write(offset, bytes, owner);
      for (int64_t b = offset; b < offset + bytes; ++b) array[b] = owner;
    }
    bool want = true;
    for (int64_t b = offset; b < offset + bytes; ++b) want = want && array[b] == owner;
    EXPECT_EQ(owners.Holds(offset, bytes, owner), want) << i;
    held += want ? 1 : 0;
  }
  EXPECT_GT(held, 700);
  EXPECT_LT(held, 1900);
}

}  // namespace
}  // namespace pocketune
