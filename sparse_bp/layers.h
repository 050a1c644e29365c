// The layers of a forward graph as update schemes see them.
#pragma once

#include <vector>

#include "graph/ir/graph.h"

namespace pocketune {

// A convolution or a linear layer in front of the classifier.
struct Layer {
  NodeId node = kNone;
  ValueId weight = kNone;
  ValueId bias = kNone;  // its own, or the shift of the batch norm behind it; kNone: none
  int axis = 0;          // the weight's dimension that numbers input channels
};

// In the order of execution: layer i is convolution i of the published schemes.
std::vector<Layer> LayersOf(const Graph& forward);

// For each value the dimension that numbers the input channels of the convolution or linear layer
// whose weight it is; kNone where it is none, and for a weight of several that do not agree.
std::vector<int> ChannelAxes(const Graph& forward);

// Sizes of a layer per sample; a linear layer counts as a 1x1 convolution of one pixel.
struct LayerSizes {
  int64_t in_channels = 0, in_pixels = 1;
  int64_t out_channels = 0, out_pixels = 1;
};
LayerSizes SizesOf(const Graph& forward, const Layer& layer);

}  // namespace pocketune
