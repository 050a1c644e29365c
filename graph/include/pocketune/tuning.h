// Which kernels are fastest, as measured on a machine by `pocketune bench --autotune`.
#pragma once

#include <map>
#include <string>

#include "pocketune/outcome.h"

namespace pocketune {

// Holds for one instruction set and number of threads. The choice of kernels decides the bits of a
// result: plans that were compiled with different tables may differ in them.
struct Tuning {
  struct Entry {
    std::string kernel;                // the fastest
    std::map<std::string, double> ns;  // of each that was measured, by name
  };
  std::string cpu;  // name of the processor
  std::string isa;  // level that was measured: avx512, avx2, sse4, neon
  int threads = 1;
  std::map<std::string, Entry> entries;  // by op, shapes, constant operands and attributes
};

// The table as a JSON text, and back. `where` stands in messages. DATA_LOSS where it is damaged.
std::string ToJson(const Tuning& tuning);
Outcome<Tuning> ParseTuning(const std::string& json, const std::string& where);
// NOT_FOUND, UNAVAILABLE (reading failed), or as ParseTuning.
Outcome<Tuning> ReadTuning(const std::string& path);

}  // namespace pocketune
