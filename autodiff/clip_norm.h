// Clipping of gradients by their global norm.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "autodiff/autodiff.h"

namespace pocketune {

// Replaces each gradient by itself times min(1, max_norm / norm), norm being the square root of the
// sum of all gradients' squares. Below the limit gradients keep their bits. No update can run
// before the last gradient is known: all of them are kept until then. max_norm > 0.
absl::Status ClipGlobalNorm(Graph& graph, double max_norm, std::vector<ParamGrad>* grads);

}  // namespace pocketune
