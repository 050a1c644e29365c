#include "bench/kernel_cases.h"

#include "tests/backends/cpu/conv_cases.h"

namespace pocketune::bench {
namespace {

enum class Product { kNn, kNt, kTn };

// m x n x k as in C[m,n] = sum over k.
KernelCase Gemm(int64_t m, int64_t n, int64_t k, Product product, double goal) {
  const bool trans_a = product == Product::kTn, trans_b = product == Product::kNt;
  KernelCase c;
  c.name = std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + "/" +
           (trans_a   ? "tn"
            : trans_b ? "nt"
                      : "nn");
  c.op = OpKind::kMatmul;
  c.attrs = MatmulAttrs{trans_a, trans_b, Act::kNone};
  c.operands = {{trans_a ? Shape{k, m} : Shape{m, k}}, {trans_b ? Shape{n, k} : Shape{k, n}}};
  c.goal = goal;
  return c;
}

struct Window {
  test::ConvCase conv;
  bool depthwise;
};

std::vector<Window> Windows() {
  using test::Attributes;
  return {
      {{"pointwise 56 24-144", 8, 56, 56, 24, 144, 1, 1, Attributes({1, 1}, {0, 0, 0, 0})}, false},
      {{"pointwise 28 144-32", 8, 28, 28, 144, 32, 1, 1, Attributes({1, 1}, {0, 0, 0, 0})}, false},
      {{"pointwise 7 160-960", 8, 7, 7, 160, 960, 1, 1, Attributes({1, 1}, {0, 0, 0, 0})}, false},
      {{"3x3 56 64-64", 4, 56, 56, 64, 64, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})}, false},
      {{"3x3 28 128-128", 4, 28, 28, 128, 128, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})}, false},
      {{"3x3 14 256-256", 4, 14, 14, 256, 256, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})}, false},
      {{"3x3 7 512-512", 4, 7, 7, 512, 512, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})}, false},
      {{"3x3 28 32-32", 8, 28, 28, 32, 32, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})}, false},
      {{"3x3 10 96-96", 8, 10, 10, 96, 96, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})}, false},
      {{"depthwise 3x3 56 144", 8, 56, 56, 144, 144, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})}, true},
      {{"depthwise 3x3 s2 56 144", 8, 56, 56, 144, 144, 3, 3, Attributes({2, 2}, {1, 1, 1, 1})},
       true},
      {{"depthwise 3x3 7 960", 8, 7, 7, 960, 960, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})}, true},
      {{"depthwise 3x3 14 96", 1, 14, 14, 96, 96, 3, 3, Attributes({1, 1}, {1, 1, 1, 1})}, true},
      {{"depthwise 5x5 14 480", 8, 14, 14, 480, 480, 5, 5, Attributes({1, 1}, {2, 2, 2, 2})}, true},
      {{"depthwise 5x5 s2 28 144", 8, 28, 28, 144, 144, 5, 5, Attributes({2, 2}, {2, 2, 2, 2})},
       true},
      {{"depthwise 7x7 28 144", 8, 28, 28, 144, 144, 7, 7, Attributes({1, 1}, {3, 3, 3, 3})}, true},
  };
}

void AddPasses(const Window& window, std::vector<KernelCase>* cases) {
  const test::ConvCase& conv = window.conv;
  const std::string name = conv.name;
  const TensorType x{conv.InputShape()}, y{conv.OutputShape(conv.out)};
  const TensorType w{window.depthwise ? conv.DepthwiseFilterShape() : conv.FilterShape()};
  const ConvGradAttrs to_input = conv.GradAttrs(conv.height, conv.width);
  const ConvGradAttrs to_filter = conv.GradAttrs(conv.kernel_h, conv.kernel_w);
  if (window.depthwise) {
    cases->push_back({name + "/forward", OpKind::kDepthwiseConv2d, conv.attrs, {x, w}});
    cases->push_back({name + "/dx", OpKind::kDepthwiseConv2dGradInput, to_input, {y, w}});
    cases->push_back({name + "/dw", OpKind::kDepthwiseConv2dGradFilter, to_filter, {y, x}});
  } else {
    cases->push_back({name + "/forward", OpKind::kConv2d, conv.attrs, {x, w}});
    cases->push_back({name + "/dx", OpKind::kConv2dGradInput, to_input, {y, w}});
    cases->push_back({name + "/dw", OpKind::kConv2dGradFilter, to_filter, {y, x}});
  }
}

PoolAttrs Pool(int kernel, int stride, int pad, int size) {
  PoolAttrs a;
  for (int i = 0; i < 2; ++i) a.kernel[i] = kernel;
  for (int i = 0; i < 2; ++i) a.stride[i] = stride;
  for (int i = 0; i < 4; ++i) a.pad[i] = pad;
  for (int i = 0; i < 2; ++i) a.size[i] = size;
  return a;
}

// 77 MB.
const TensorType kBig{{16, 112, 112, 96}};
const TensorType kHalved{{16, 56, 56, 96}};
const TensorType kChannels{{96}};

std::vector<KernelCase> NormCases() {
  const TensorType &x = kBig, &c = kChannels;
  const NormAttrs plain, relu6{1e-5, Act::kRelu6};
  // Statistics, and the sums of the gradient, take all of x before the first of it can be used.
  return {
      {"batch_norm", OpKind::kBatchNorm, plain, {x, c, c}, 0b1},
      {"batch_norm relu6", OpKind::kBatchNorm, relu6, {x, c, c}, 0b1},
      {"batch_norm_grad", OpKind::kBatchNormGrad, plain, {x, x, c, c, c}, 0b11},
      {"batch_norm_grad relu6", OpKind::kBatchNormGrad, relu6, {x, x, c, c, c, c}, 0b11},
      {"batch_norm_frozen", OpKind::kBatchNormFrozen, plain, {x, c, c, c, c}},
      {"batch_norm_frozen_grad_input", OpKind::kBatchNormFrozenGradInput, plain, {x, c, c}},
      {"batch_norm_frozen_grad_scale", OpKind::kBatchNormFrozenGradScale, plain, {x, x, c, c}},
  };
}

}  // namespace

std::vector<KernelCase> GemmCases() {
  constexpr double kSquare = 0.85, kTraining = 0.65, kFewRows = 0.40;
  std::vector<KernelCase> cases;
  for (const int64_t n : {512, 1024}) {
    for (const Product product : {Product::kNn, Product::kNt, Product::kTn}) {
      cases.push_back(Gemm(n, n, n, product, kSquare));
    }
  }
  // Rows (pixels), outputs and inputs of a layer.
  const int64_t layers[][3] = {{3136, 64, 576}, {784, 96, 576}, {128, 768, 3072}};
  for (const auto& [rows, out, in] : layers) {
    cases.push_back(Gemm(rows, out, in, Product::kNt, kTraining));
    cases.push_back(Gemm(rows, in, out, Product::kNn, kTraining));
    cases.push_back(Gemm(out, in, rows, Product::kTn, kTraining));
  }
  for (const auto& [out, in] : {std::pair<int64_t, int64_t>{1000, 512}, {512, 1000}}) {
    cases.push_back(Gemm(8, out, in, Product::kNt, kFewRows));
    cases.push_back(Gemm(8, in, out, Product::kNn, kFewRows));
    cases.push_back(Gemm(out, in, 8, Product::kTn, kFewRows));
  }
  return cases;
}

std::vector<KernelCase> ConvCases() {
  std::vector<KernelCase> cases;
  for (const Window& window : Windows()) AddPasses(window, &cases);
  return cases;
}

std::vector<KernelCase> MemoryCases() {
  const TensorType& x = kBig;
  const NoAttrs none;
  std::vector<KernelCase> cases = {
      {"add", OpKind::kAdd, none, {x, x}},
      {"add channels", OpKind::kAdd, none, {x, kChannels}},
      {"affine", OpKind::kAffine, AffineAttrs{1.5, 0.25}, {x}},
      {"relu", OpKind::kRelu, none, {x}},
      {"relu_grad", OpKind::kReluGrad, none, {x, x}},
      {"relu6_grad", OpKind::kRelu6Grad, none, {x, x}},
      {"hard_swish", OpKind::kHardSwish, none, {x}},
      {"hard_swish_grad", OpKind::kHardSwishGrad, none, {x, x}},
      {"reduce_sum to channels", OpKind::kReduceSum, ReduceAttrs{0b0111, false}, {x}},
      {"reduce_mean of pixels", OpKind::kReduceMean, ReduceAttrs{0b0110, false}, {x}},
      {"max_pool 3x3 s2", OpKind::kMaxPool, Pool(3, 2, 1, 112), {x}},
      {"max_pool_grad 3x3 s2", OpKind::kMaxPoolGrad, Pool(3, 2, 1, 112), {kHalved, x}},
      {"avg_pool 2x2 s2", OpKind::kAvgPool, Pool(2, 2, 0, 112), {x}},
      {"avg_pool_grad 2x2 s2", OpKind::kAvgPoolGrad, Pool(2, 2, 0, 112), {kHalved}},
      {"sgd", OpKind::kSgd, OptimizerAttrs(), {x, x}},
      {"momentum", OpKind::kMomentum, OptimizerAttrs{.momentum = 0.9}, {x, x, x}},
      {"adamw", OpKind::kAdamW, OptimizerAttrs(), {x, x, x, x}},
  };
  for (KernelCase& c : NormCases()) cases.push_back(std::move(c));
  for (KernelCase& c : cases) {
    c.lowest = 0;  // variances
    c.goal = 0.8;
  }
  return cases;
}

}  // namespace pocketune::bench
