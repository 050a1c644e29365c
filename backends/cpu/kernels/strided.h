// Loop nests over strided tensors: broadcasting, slices and reductions are all one of these.
#pragma once

#include <cstdint>

#include "pocketune/types.h"

namespace pocketune {

// Nested loops over up to six dimensions, outermost first, and how far each of K tensors moves per
// step of a loop (elements; 0 where it is broadcast).
template <int K>
struct LoopNest {
  int rank = 0;
  int64_t dims[Shape::kMaxRank] = {};
  int64_t strides[Shape::kMaxRank][K] = {};

  // Adds a loop inside the others. Loops of one step vanish, and loops that together are one longer
  // loop for every tensor become one.
  void Push(int64_t dim, const int64_t (&step)[K]) {
    if (dim == 1) return;
    if (rank > 0 && Continues(dim, step)) {
      dims[rank - 1] *= dim;
    } else {
      dims[rank++] = dim;
    }
    for (int k = 0; k < K; ++k) strides[rank - 1][k] = step[k];
  }

  // Takes the innermost loop off the nest and returns its length; one step where there is no loop.
  int64_t Pop(int64_t (&step)[K]) {
    if (rank == 0) {
      for (int k = 0; k < K; ++k) step[k] = 0;
      return 1;
    }
    return Take(rank - 1, step);
  }

  // Takes loop `d` off the nest and returns its length.
  int64_t Take(int d, int64_t (&step)[K]) {
    const int64_t length = dims[d];
    for (int k = 0; k < K; ++k) step[k] = strides[d][k];
    --rank;
    for (; d < rank; ++d) {
      dims[d] = dims[d + 1];
      for (int k = 0; k < K; ++k) strides[d][k] = strides[d + 1][k];
    }
    return length;
  }

  int64_t Steps() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }

  // Where tensor k stands in step `i` of the whole nest.
  int64_t Offset(int64_t i, int k) const {
    int64_t offset = 0;
    for (int d = rank - 1; d > 0; --d) {
      offset += i % dims[d] * strides[d][k];
      i /= dims[d];
    }
    return rank == 0 ? 0 : offset + i * strides[0][k];
  }

 private:
  bool Continues(int64_t dim, const int64_t (&step)[K]) const {
    for (int k = 0; k < K; ++k) {
      if (strides[rank - 1][k] != step[k] * dim) return false;
    }
    return true;
  }
};

// Strides of a dense tensor, in elements; 0 in dimensions of size 1 aligned to the right of
// `rank` dimensions, so that a smaller tensor is broadcast.
struct Strides {
  Strides(const Shape& shape, int rank) {
    int64_t stride = 1;
    for (int i = 1; i <= shape.rank(); ++i) {
      if (shape[-i] != 1) of[rank - i] = stride;
      stride *= shape[-i];
    }
  }
  int64_t operator[](int i) const { return of[i]; }
  int64_t of[Shape::kMaxRank] = {};
};

}  // namespace pocketune
