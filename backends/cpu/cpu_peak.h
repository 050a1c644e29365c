// What the processor can do at best, to judge kernels by.
#pragma once

#include "engine/base/thread_pool.h"
#include "pocketune/status.h"

namespace pocketune {

struct CpuPeak {
  double gflops = 0;    // 10^9 operations a second: a multiply-add is two
  double copy_gbs = 0;  // 10^9 bytes a second, read and written, outside all caches
};

// The best of several rounds of multiply-adds in registers, and of copies of arrays larger than the
// last cache, on all threads of the pool at the level CurrentIsa(). Takes a fraction of a second
// and up to 512 MiB meanwhile. RESOURCE_EXHAUSTED where there is too little memory.
Result<CpuPeak> MeasureCpuPeak(ThreadPool& pool);

// One of the two alone.
double MeasureFmaGflops(ThreadPool& pool);
Result<double> MeasureCopyGbs(ThreadPool& pool);

}  // namespace pocketune
