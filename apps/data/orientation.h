// How a picture is held: the EXIF orientation, which cameras write in place of turning the pixels.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "apps/data/image.h"

namespace pocketune::data {

// The orientation, 1 to 8, that EXIF data give: a TIFF structure, with or without "Exif\0\0" before
// it. Nothing where they are no EXIF data, give none, or are damaged. Reads no byte outside.
std::optional<int> ExifOrientation(std::span<const uint8_t> exif);

// Turns and mirrors `image` as it is to be seen: 1 as stored, 2 mirrored left to right, 3 turned by
// 180 degrees, 4 mirrored top to bottom, 5 transposed, 6 turned clockwise, 7 transposed along the
// other diagonal, 8 turned anticlockwise; anything else as 1. From 5 on height and width change
// places, and a second copy of the pixels lives until it returns.
void Orient(int orientation, Image* image);

}  // namespace pocketune::data
