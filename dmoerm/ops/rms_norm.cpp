#include "dmoerm/ops/rms_norm.h"

#include <algorithm>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cpu_kernels.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/sum_type.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kChunkRows = 128;  // fixed, so that the sums do not depend on the number of threads

class RmsNormCpu : public torch::autograd::Function<RmsNormCpu> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_TD, const Tensor& weight_D, double eps) {
    const Tensor x = x_TD.contiguous(), weight = weight_D.contiguous();
    const int64_t width = x.size(-1), rows = x.numel() / width;
    const Tensor y = torch::empty_like(x), inverse_rms_T = torch::empty({rows}, x.options());
    const float *x_data = x.data_ptr<float>(), *weight_data = weight.data_ptr<float>();
    float *y_data = y.data_ptr<float>(), *rms_data = inverse_rms_T.data_ptr<float>();
    at::parallel_for(0, rows, 1 + 32768 / width, [&](int64_t begin, int64_t end) {
      cpu_kernels().rms_norm_forward(x_data + begin * width, weight_data, y_data + begin * width,
                                     rms_data + begin, end - begin, width, static_cast<float>(eps));
    });
    context->save_for_backward({x, weight, inverse_rms_T});
    context->saved_data["weight_gradient"] = weight_D.requires_grad();
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], grad_y = grads[0].contiguous();
    const int64_t width = x.size(-1), rows = x.numel() / width,
                  num_chunks = (rows + kChunkRows - 1) / kChunkRows;
    const Tensor grad_x = torch::empty_like(x);
    Tensor partial_KD;  // the weight's gradient of each chunk of rows
    if (context->saved_data["weight_gradient"].toBool())
      partial_KD = torch::zeros({num_chunks, width}, x.options());
    const float *x_data = x.data_ptr<float>(), *weight_data = weight.data_ptr<float>();
    const float *rms_data = saved[2].data_ptr<float>(), *grad_data = grad_y.data_ptr<float>();
    float* grad_x_data = grad_x.data_ptr<float>();
    float* partial_data = partial_KD.defined() ? partial_KD.data_ptr<float>() : nullptr;
    at::parallel_for(0, num_chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const int64_t row = chunk * kChunkRows, count = std::min(kChunkRows, rows - row), at = row * width;
        cpu_kernels().rms_norm_backward(x_data + at, weight_data, rms_data + row, grad_data + at,
                                        grad_x_data + at,
                                        partial_data ? partial_data + chunk * width : nullptr, count, width);
      }
    });
    return {grad_x, partial_KD.defined() ? partial_KD.sum(0) : Tensor(), Tensor()};
  }
};

}  // namespace

Tensor rms_norm_reference(const Tensor& x_TD, const Tensor& weight_D, double eps) {
  const auto type = sum_type(x_TD);
  const Tensor x = x_TD.to(type);
  const Tensor scale_T1 = torch::rsqrt(x.square().mean(-1, /*keepdim=*/true) + eps);
  return (x * scale_T1 * weight_D.to(type)).to(x_TD.scalar_type());
}

Tensor rms_norm(const Tensor& x_TD, const Tensor& weight_D, double eps) {
  DMOERM_ASSERT(weight_D.dim() == 1 && weight_D.size(0) == x_TD.size(-1));
  if (on_cuda(x_TD)) return rms_norm_cuda(x_TD, weight_D, eps);
  const bool cpu_float = x_TD.device().is_cpu() && x_TD.scalar_type() == torch::kFloat32 &&
                         weight_D.scalar_type() == torch::kFloat32;
  if (!cpu_float || x_TD.numel() == 0) return rms_norm_reference(x_TD, weight_D, eps);
  return RmsNormCpu::apply(x_TD, weight_D, eps);
}

NormedSum add_rms_norm(const Tensor& x_TD, const Tensor& delta_TD, const Tensor& weight_D, double eps) {
  if (on_cuda(x_TD)) return add_rms_norm_cuda(x_TD, delta_TD, weight_D, eps);
  const Tensor sum_TD = x_TD + delta_TD;
  return {sum_TD, rms_norm(sum_TD, weight_D, eps)};
}

}  // namespace dmoerm::ops
