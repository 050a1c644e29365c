// How much of this process lies in memory, by the system's count (/proc/self). Where it keeps none
// all of it is 0.
#pragma once

#include <cstdint>

namespace pocketune {

int64_t ResidentBytes();

// The most that it ever was, or since RestartResidentPeak.
int64_t PeakResidentBytes();
void RestartResidentPeak();

}  // namespace pocketune
