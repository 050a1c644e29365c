#include "backends/reference/reference_ops.h"

namespace pocketune::reference {

PT_REFERENCE(Matmul) {
  const MatmulAttrs& at = args.Attr<MatmulAttrs>();
  const Shape& as = args.operands[0].shape;
  const Shape& bs = args.operands[1].shape;
  const Shape& ys = args.results[0].shape;
  const int64_t m = ys[-2], n = ys[-1], k = at.trans_a ? as[-2] : as[-1];
  const int64_t batch = ys.elems() / (m * n);
  const T* bias = In<T>(args, 2);  // [N], may be absent
  for (int64_t i = 0; i < batch; ++i) {
    const T* a = In<T>(args, 0) + i * m * k;                         // [M,K] or [K,M]
    const T* b = In<T>(args, 1) + (bs.rank() == 2 ? 0 : i * k * n);  // [K,N] or [N,K]
    T* y = Out<T>(args, 0) + i * m * n;                              // [M,N]
    for (int64_t row = 0; row < m; ++row) {
      for (int64_t col = 0; col < n; ++col) {
        double sum = 0;
        for (int64_t j = 0; j < k; ++j) {
          const double left = at.trans_a ? a[j * m + row] : a[row * k + j];
          const double right = at.trans_b ? b[col * k + j] : b[j * n + col];
          sum += left * right;
        }
        if (bias != nullptr) sum += bias[col];
        y[row * n + col] = static_cast<T>(Activate(at.act, sum));
      }
    }
  }
}

}  // namespace pocketune::reference
