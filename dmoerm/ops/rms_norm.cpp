#include "dmoerm/ops/rms_norm.h"

namespace dmoerm::ops {

Tensor rms_norm_reference(const Tensor& x_TD, const Tensor& weight_D, double eps) {
  const auto type = x_TD.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const Tensor x = x_TD.to(type);
  const Tensor scale_T1 = torch::rsqrt(x.square().mean(-1, /*keepdim=*/true) + eps);
  return (x * scale_T1 * weight_D.to(type)).to(x_TD.scalar_type());
}

Tensor rms_norm(const Tensor& x_TD, const Tensor& weight_D, double eps) {
  return rms_norm_reference(x_TD, weight_D, eps);
}

}  // namespace dmoerm::ops
