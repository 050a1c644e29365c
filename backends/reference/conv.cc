// Convolutions and their gradients: one walk over all taps serves the three directions.
#include "backends/reference/reference_ops.h"

namespace pocketune::reference {
namespace {

// Calls tap(y_pixel, x_pixel, kernel_pixel) for each place of the kernel over each result pixel,
// where it lies inside the input. x [N,H,W,..], y [N,OH,OW,..]; a pixel counts rows of channels.
template <class A, class Tap>
void ForEachTap(const A& a, const Shape& x, const Shape& y, int64_t kernel_h, int64_t kernel_w,
                const Tap& tap) {
  for (int64_t n = 0; n < y[0]; ++n) {
    for (int64_t oh = 0; oh < y[1]; ++oh) {
      for (int64_t ow = 0; ow < y[2]; ++ow) {
        for (int64_t kh = 0; kh < kernel_h; ++kh) {
          for (int64_t kw = 0; kw < kernel_w; ++kw) {
            const int64_t h = oh * a.stride[0] - a.pad[0] + kh * a.dilation[0];
            const int64_t w = ow * a.stride[1] - a.pad[2] + kw * a.dilation[1];
            if (h < 0 || h >= x[1] || w < 0 || w >= x[2]) continue;
            tap((n * y[1] + oh) * y[2] + ow, (n * x[1] + h) * x[2] + w, kh * kernel_w + kw);
          }
        }
      }
    }
  }
}

// Result of a forward convolution: act(sums + bias).
template <typename T>
void Finish(const KernelArgs& args, const double* sums) {
  const T* bias = In<T>(args, 2);  // [channels], may be absent
  T* y = Out<T>(args, 0);
  const Shape& shape = args.results[0].shape;
  for (int64_t i = 0; i < shape.elems(); ++i) {
    const double sum = sums[i] + (bias != nullptr ? double{bias[i % shape[-1]]} : 0.0);
    y[i] = static_cast<T>(Activate(args.Attr<ConvAttrs>().act, sum));
  }
}

}  // namespace

PT_REFERENCE(Conv2d) {
  const ConvAttrs& a = args.Attr<ConvAttrs>();
  const Shape& ws = args.operands[1].shape;  // [O,KH,KW,I], I = C / groups
  const int64_t outputs = ws[0], taps = ws[1] * ws[2], inputs = ws[3];
  const T* x = In<T>(args, 0);  // [N,H,W,groups,I]
  const T* w = In<T>(args, 1);  // [O,taps,I]
  double* sums = Sums(args);    // [N,OH,OW,O]
  ForEachTap(a, args.operands[0].shape, args.results[0].shape, ws[1], ws[2],
             [&](int64_t y_pixel, int64_t x_pixel, int64_t k) {
               for (int64_t o = 0; o < outputs; ++o) {
                 const int64_t group = o / (outputs / a.groups);
                 const T* xs = x + (x_pixel * a.groups + group) * inputs;
                 const T* w_tap = w + (o * taps + k) * inputs;
                 double sum = 0;
                 for (int64_t i = 0; i < inputs; ++i) sum += double{xs[i]} * double{w_tap[i]};
                 sums[y_pixel * outputs + o] += sum;
               }
             });
  Finish<T>(args, sums);
}

PT_REFERENCE(Conv2dGradInput) {
  const ConvGradAttrs& a = args.Attr<ConvGradAttrs>();
  const Shape& ws = args.operands[1].shape;  // [O,KH,KW,I]
  const int64_t outputs = ws[0], taps = ws[1] * ws[2], inputs = ws[3];
  const T* dy = In<T>(args, 0);  // [N,OH,OW,O]
  const T* w = In<T>(args, 1);   // [O,taps,I]
  double* dx = Sums(args);       // [N,H,W,groups,I]
  ForEachTap(a, args.results[0].shape, args.operands[0].shape, ws[1], ws[2],
             [&](int64_t y_pixel, int64_t x_pixel, int64_t k) {
               for (int64_t o = 0; o < outputs; ++o) {
                 const int64_t group = o / (outputs / a.groups);
                 double* dxs = dx + (x_pixel * a.groups + group) * inputs;
                 const T* w_tap = w + (o * taps + k) * inputs;
                 const double g = dy[y_pixel * outputs + o];
                 for (int64_t i = 0; i < inputs; ++i) dxs[i] += g * double{w_tap[i]};
               }
             });
  Round<T>(args, dx);
}

PT_REFERENCE(Conv2dGradFilter) {
  const ConvGradAttrs& a = args.Attr<ConvGradAttrs>();
  const Shape& ws = args.results[0].shape;  // [O,KH,KW,I]
  const int64_t outputs = ws[0], taps = ws[1] * ws[2], inputs = ws[3];
  const T* dy = In<T>(args, 0);  // [N,OH,OW,O]
  const T* x = In<T>(args, 1);   // [N,H,W,groups,I]
  double* dw = Sums(args);       // [O,taps,I]
  ForEachTap(a, args.operands[1].shape, args.operands[0].shape, ws[1], ws[2],
             [&](int64_t y_pixel, int64_t x_pixel, int64_t k) {
               for (int64_t o = 0; o < outputs; ++o) {
                 const int64_t group = o / (outputs / a.groups);
                 const T* xs = x + (x_pixel * a.groups + group) * inputs;
                 double* dw_tap = dw + (o * taps + k) * inputs;
                 const double g = dy[y_pixel * outputs + o];
                 for (int64_t i = 0; i < inputs; ++i) dw_tap[i] += g * double{xs[i]};
               }
             });
  Round<T>(args, dw);
}

PT_REFERENCE(DepthwiseConv2d) {
  const Shape& ws = args.operands[1].shape;  // [KH,KW,C]
  const int64_t channels = ws[2];
  const T* x = In<T>(args, 0);  // [N,H,W,C]
  const T* w = In<T>(args, 1);
  double* sums = Sums(args);  // [N,OH,OW,C]
  ForEachTap(args.Attr<ConvAttrs>(), args.operands[0].shape, args.results[0].shape, ws[0], ws[1],
             [&](int64_t y_pixel, int64_t x_pixel, int64_t k) {
               for (int64_t c = 0; c < channels; ++c) {
                 sums[y_pixel * channels + c] +=
                     double{x[x_pixel * channels + c]} * double{w[k * channels + c]};
               }
             });
  Finish<T>(args, sums);
}

PT_REFERENCE(DepthwiseConv2dGradInput) {
  const Shape& ws = args.operands[1].shape;  // [KH,KW,C]
  const int64_t channels = ws[2];
  const T* dy = In<T>(args, 0);  // [N,OH,OW,C]
  const T* w = In<T>(args, 1);
  double* dx = Sums(args);  // [N,H,W,C]
  ForEachTap(args.Attr<ConvGradAttrs>(), args.results[0].shape, args.operands[0].shape, ws[0],
             ws[1], [&](int64_t y_pixel, int64_t x_pixel, int64_t k) {
               for (int64_t c = 0; c < channels; ++c) {
                 dx[x_pixel * channels + c] +=
                     double{dy[y_pixel * channels + c]} * double{w[k * channels + c]};
               }
             });
  Round<T>(args, dx);
}

PT_REFERENCE(DepthwiseConv2dGradFilter) {
  const Shape& ws = args.results[0].shape;  // [KH,KW,C]
  const int64_t channels = ws[2];
  const T* dy = In<T>(args, 0);  // [N,OH,OW,C]
  const T* x = In<T>(args, 1);   // [N,H,W,C]
  double* dw = Sums(args);
  ForEachTap(args.Attr<ConvGradAttrs>(), args.operands[1].shape, args.operands[0].shape, ws[0],
             ws[1], [&](int64_t y_pixel, int64_t x_pixel, int64_t k) {
               for (int64_t c = 0; c < channels; ++c) {
                 dw[k * channels + c] +=
                     double{dy[y_pixel * channels + c]} * double{x[x_pixel * channels + c]};
               }
             });
  Round<T>(args, dw);
}

}  // namespace pocketune::reference
