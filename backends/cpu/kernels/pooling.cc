// Windowed pooling over NHWC and its gradients, vectorised over channels.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/pooling.cc"
#include "backends/cpu/hwy_common.h"
// The header above stands first: it sets the target of this pass.
#include "backends/cpu/cpu_kernel_functions.h"
#include "backends/cpu/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pocketune::HWY_NAMESPACE {

// The part of a window that lies inside the input: rows and columns of the input.
struct Window {
  int64_t top, bottom, left, right;
  Window(const PoolAttrs& a, const Shape& x, int64_t oh, int64_t ow) {
    const int64_t h = oh * a.stride[0] - a.pad[0];
    const int64_t w = ow * a.stride[1] - a.pad[2];
    top = std::max<int64_t>(h, 0);
    left = std::max<int64_t>(w, 0);
    bottom = std::min(h + a.kernel[0], x[1]);
    right = std::min(w + a.kernel[1], x[2]);
  }
  int64_t Elems() const { return (bottom - top) * (right - left); }
};

float OneOverCount(const PoolAttrs& a, const Window& window) {
  const int64_t all = int64_t{a.kernel[0]} * a.kernel[1];
  return 1.0f / static_cast<float>(a.count_include_pad ? all : window.Elems());
}

// Folds the windows of all results, first along rows, which also keeps long sums exact; then
// y = folded * factor(window).
template <class Op, class Factor>
void Pool(const KernelArgs& args, const Factor& factor) {
  const auto& attrs = args.Attr<PoolAttrs>();
  const Shape& xs = args.operands[0].shape;
  const Shape& ys = args.results[0].shape;
  const int64_t channels = xs[3];
  const int64_t row_elems = ys[2] * channels * attrs.kernel[0] * attrs.kernel[1];
  const auto run_pixel = [&](const float* x, int64_t oh, int64_t ow, float* y) HWY_ATTR {
    const Window window(attrs, xs, oh, ow);
    const VF scale = hn::Set(F32(), factor(window));
    ForEachVector(channels, [&](const auto& access, int64_t c) HWY_ATTR {
      const VF init = hn::Set(F32(), Op::kInit);
      VF all = init;
      for (int64_t h = window.top; h < window.bottom; ++h) {
        VF row = init;
        for (int64_t w = window.left; w < window.right; ++w) {
          row = Op()(row, access.Load(x + (h * xs[2] + w) * channels + c));
        }
        all = Op()(all, row);
      }
      access.Store(hn::Mul(all, scale), y + c);
    });
  };
  ParallelPieces(args.pool, ys[0] * ys[1], RowsPerItem(row_elems), [&](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      const float* x = args.operands[0].as<float>() + row / ys[1] * xs[1] * xs[2] * channels;
      float* y = args.results[0].as<float>() + row * ys[2] * channels;
      for (int64_t ow = 0; ow < ys[2]; ++ow) run_pixel(x, row % ys[1], ow, y + ow * channels);
    }
  });
}

void RunMaxPool(const KernelArgs& args) {
  Pool<MaxOf>(args, [](const Window&) { return 1.0f; });
}

void RunAvgPool(const KernelArgs& args) {
  const auto& attrs = args.Attr<PoolAttrs>();
  Pool<SumOf>(args, [&](const Window& window) { return OneOverCount(attrs, window); });
}

// Results whose windows hold position `at` of the input, along one dimension.
struct Covering {
  int64_t begin, end;
  Covering(const PoolAttrs& a, int dim, int64_t at, int64_t results) {
    const int64_t padded = at + a.pad[2 * dim];
    const int64_t first = padded - a.kernel[dim] + 1;
    begin = first <= 0 ? 0 : CeilDiv(first, a.stride[dim]);
    end = std::min(results, padded / a.stride[dim] + 1);
  }
};

// Rows of dx, of one image, that a work item makes.
struct Band {
  int64_t top, bottom;
};

// Adds dy to the place of the window's first maximum, if it lies in the band: finds it, then visits
// the window again. The number of an element in the window is kept as a float, exactly.
template <class Access>
HWY_INLINE void AddToMaximum(const Access& access, const Window& window, const Band& band,
                             int64_t width, int64_t channels, const float* x, const float* dy,
                             float* dx) {
  const F32 d;
  VF best = access.Load(x + (window.top * width + window.left) * channels);
  VF place = hn::Zero(d);
  float number = 0.0f;
  for (int64_t h = window.top; h < window.bottom; ++h) {
    for (int64_t w = window.left; w < window.right; ++w, ++number) {
      const VF v = access.Load(x + (h * width + w) * channels);
      const auto is_first_nan = hn::AndNot(hn::IsNaN(best), hn::IsNaN(v));
      const auto beats = hn::Or(hn::Gt(v, best), is_first_nan);
      best = hn::IfThenElse(beats, v, best);
      place = hn::IfThenElse(beats, hn::Set(d, number), place);
    }
  }
  const VF g = access.Load(dy);
  const int64_t top = std::max(window.top, band.top), bottom = std::min(window.bottom, band.bottom);
  number = static_cast<float>((top - window.top) * (window.right - window.left));
  for (int64_t h = top; h < bottom; ++h) {
    for (int64_t w = window.left; w < window.right; ++w, ++number) {
      float* to = dx + (h * width + w) * channels;
      const VF share = hn::IfThenElseZero(hn::Eq(place, hn::Set(d, number)), g);
      access.Store(hn::Add(access.Load(to), share), to);
    }
  }
}

// One work item gathers for a band what the windows that reach into it have to add, in their order.
void RunMaxPoolGrad(const KernelArgs& args) {
  constexpr int64_t kBand = 16;
  const auto& attrs = args.Attr<PoolAttrs>();
  const Shape& ys = args.operands[0].shape;
  const Shape& xs = args.operands[1].shape;
  const int64_t channels = xs[3], row = xs[2] * channels;
  const int64_t bands = CeilDiv(xs[1], kBand);
  args.pool->ParallelFor(xs[0] * bands, [&](int64_t item, int) HWY_ATTR {
    const int64_t image = item / bands, top = item % bands * kBand;
    const Band band = {top, std::min(top + kBand, xs[1])};
    const float* dy = args.operands[0].as<float>() + image * ys[1] * ys[2] * channels;
    const float* x = args.operands[1].as<float>() + image * xs[1] * row;
    float* dx = args.results[0].as<float>() + image * xs[1] * row;
    std::fill(dx + band.top * row, dx + band.bottom * row, 0.0f);
    const int64_t first = Covering(attrs, 0, band.top, ys[1]).begin;
    const int64_t end = Covering(attrs, 0, band.bottom - 1, ys[1]).end;
    for (int64_t i = first * ys[2]; i < end * ys[2]; ++i) {
      const Window window(attrs, xs, i / ys[2], i % ys[2]);
      ForEachVector(channels, [&](const auto& access, int64_t c) HWY_ATTR {
        AddToMaximum(access, window, band, xs[2], channels, x + c, dy + i * channels + c, dx + c);
      });
    }
  });
}

struct AddScaled {
  float factor;
  HWY_INLINE VF operator()(F32 d, VF sum, VF x) const {
    return hn::MulAdd(x, hn::Set(d, factor), sum);
  }
};

void RunAvgPoolGrad(const KernelArgs& args) {
  const auto& attrs = args.Attr<PoolAttrs>();
  const Shape& ys = args.operands[0].shape;
  const Shape& xs = args.results[0].shape;
  const int64_t channels = xs[3];
  const auto run_pixel = [&](const float* dy, int64_t h, int64_t w, float* dx) HWY_ATTR {
    const Covering rows(attrs, 0, h, ys[1]);
    const Covering columns(attrs, 1, w, ys[2]);
    std::fill_n(dx, channels, 0.0f);
    for (int64_t oh = rows.begin; oh < rows.end; ++oh) {
      for (int64_t ow = columns.begin; ow < columns.end; ++ow) {
        const AddScaled add{OneOverCount(attrs, Window(attrs, xs, oh, ow))};
        Map(add, channels, dx, Array{dx}, Array{dy + (oh * ys[2] + ow) * channels});
      }
    }
  };
  ParallelPieces(
      args.pool, xs[0] * xs[1], RowsPerItem(xs[2] * channels), [&](int64_t row, int64_t end) {
        for (; row < end; ++row) {
          const float* dy = args.operands[0].as<float>() + row / xs[1] * ys[1] * ys[2] * channels;
          float* dx = args.results[0].as<float>() + row * xs[2] * channels;
          for (int64_t w = 0; w < xs[2]; ++w) run_pixel(dy, row % xs[1], w, dx + w * channels);
        }
      });
}

}  // namespace pocketune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pocketune {
PT_CPU_DISPATCH(MaxPool)
PT_CPU_DISPATCH(AvgPool)
PT_CPU_DISPATCH(MaxPoolGrad)
PT_CPU_DISPATCH(AvgPoolGrad)
}  // namespace pocketune
#endif  // HWY_ONCE
