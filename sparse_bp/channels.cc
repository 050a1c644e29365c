#include "sparse_bp/channels.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/rng.h"
#include "engine/ops/slice_index.h"

namespace pocketune {
namespace {

// Sum of squares of each slice.
std::vector<double> Squares(const Value& weight, int axis) {
  const SliceGeometry g = SlicesAlong(axis, weight.type.shape, 1);
  std::vector<double> squares(static_cast<size_t>(g.slices));
  if (weight.data == nullptr) return squares;
  for (size_t i = 0; i < weight.data->size(); ++i) {
    const double w = (*weight.data)[i];
    squares[i / static_cast<size_t>(g.inner) % squares.size()] += w * w;
  }
  return squares;
}

// What the channels are ranked by, the largest first.
std::vector<double> RankOf(const Value& weight, int axis, const Update& update) {
  if (update.order == ChannelOrder::kMagnitude) return Squares(weight, axis);
  std::vector<double> rank(static_cast<size_t>(weight.type.shape[axis]));
  if (update.order == ChannelOrder::kFirst) return rank;
  const RandomStream random(update.seed, weight.name);
  for (size_t c = 0; c < rank.size(); ++c) rank[c] = random.Bits(c);
  return rank;
}

}  // namespace

int64_t CountOf(double ratio, int64_t channels) {
  return static_cast<int64_t>(std::floor(ratio * static_cast<double>(channels) + 1e-9));
}

std::shared_ptr<const LearningSlices> PickChannels(const Value& weight, int axis,
                                                   const Update& update) {
  const std::vector<double> rank = RankOf(weight, axis, update);
  LearningSlices slices;
  slices.axis = axis;
  slices.numbers.resize(rank.size());
  std::iota(slices.numbers.begin(), slices.numbers.end(), 0);
  std::stable_sort(slices.numbers.begin(), slices.numbers.end(), [&](int32_t a, int32_t b) {
    return rank[static_cast<size_t>(a)] > rank[static_cast<size_t>(b)];
  });
  slices.numbers.resize(
      static_cast<size_t>(CountOf(update.ratio, static_cast<int64_t>(rank.size()))));
  std::sort(slices.numbers.begin(), slices.numbers.end());
  return std::make_shared<const LearningSlices>(std::move(slices));
}

}  // namespace pocketune
