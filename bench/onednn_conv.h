// Convolutions and their gradients in oneDNN, on the operands of a case.
#pragma once

#include <string>
#include <unordered_map>

#include "bench/kernel_run.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace pocketune::bench {

// How the activations lie in memory. The filter always lies as oneDNN likes it best.
enum class OneDnnLayout {
  kNhwc,  // as in pocketune
  kOwn,   // as oneDNN likes it best
};

// The operands are brought into oneDNN's layouts when it is made; Run computes alone.
class OneDnnConv {
 public:
  // `data` is of a convolution, a depthwise one or one of their gradients, without bias. Throws
  // dnnl::error where oneDNN refuses.
  OneDnnConv(const CaseData& data, OneDnnLayout layout);

  void Run();
  // In pocketune's layout.
  test::TensorData Result();
  // oneDNN's name of the kernel that it has chosen, e.g. "jit:avx512_core".
  const std::string& implementation() const { return implementation_; }

 private:
  void Choose(OneDnnLayout layout);
  void Reorder(dnnl::memory from, dnnl::memory to);

  const CaseData& data_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::primitive_desc_base chosen_;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> args_;
  std::string implementation_;
};

}  // namespace pocketune::bench
