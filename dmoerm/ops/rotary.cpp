#include "dmoerm/ops/rotary.h"

namespace dmoerm::ops {

Tensor rotary_reference(const Tensor& x_THC, const Tensor& cos_TR, const Tensor& sin_TR) {
  const int64_t half = cos_TR.size(-1), channels = x_THC.size(-1);
  const Tensor cos = cos_TR.unsqueeze(1).to(x_THC.scalar_type()), sin = sin_TR.unsqueeze(1).to(x_THC.scalar_type());
  const Tensor a = x_THC.narrow(-1, 0, half), b = x_THC.narrow(-1, half, half);
  const Tensor rest = x_THC.narrow(-1, 2 * half, channels - 2 * half);
  return torch::cat({a * cos - b * sin, b * cos + a * sin, rest}, -1);
}

Tensor rotary(const Tensor& x_THC, const Tensor& cos_TR, const Tensor& sin_TR) {
  return rotary_reference(x_THC, cos_TR, sin_TR);
}

}  // namespace dmoerm::ops
