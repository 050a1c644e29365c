// The shapes that kernels are judged on.
#pragma once

#include <vector>

#include "bench/kernel_run.h"

namespace pocketune::bench {

// Square products, and those of forward (NT), input gradient (NN) and filter gradient (TN) of
// layers in training: tall, flat, and linear layers on a batch of 8.
std::vector<KernelCase> GemmCases();

// Convolutions of small vision models on a batch of 8, "<window>/<forward|dx|dw>".
std::vector<KernelCase> ConvCases();

// Ops that memory bounds, on tensors larger than the caches, none in place but updates.
std::vector<KernelCase> MemoryCases();

}  // namespace pocketune::bench
