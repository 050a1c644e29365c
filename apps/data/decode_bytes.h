// How much memory the pictures of a data set take while one of them is decoded.
#pragma once

#include <cstdint>
#include <string>

#include "apps/data/dataset.h"
#include "apps/data/transform.h"

namespace pocketune::data {

// Bytes that one thread holds at most from opening the file until the picture has the transform's
// size: the file, what the decoder needs, the picture and its copies. Found out from the file's
// first bytes, for JPEG up to its frame header. A file that cannot be read, or is of an unknown
// kind, takes what its length suggests: decoding it fails early, or somebody else's library does
// it. Thread-safe.
int64_t DecodeBytes(const std::string& path, const Transform& transform);

// The most of these over all samples of all splits. Opens each file once.
int64_t LargestDecodeBytes(const Dataset& dataset, const Transform& transform);

}  // namespace pocketune::data
