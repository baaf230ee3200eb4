#include "dmoerm/ops/rotary.h"

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cpu_kernels.h"
#include "dmoerm/ops/cuda_ops.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// direction 1: rotate by the angles; -1: back.
Tensor rotate(const Tensor& x_THC, const Tensor& cos_TR, const Tensor& sin_TR, float direction) {
  const Tensor y = torch::empty_like(x_THC);
  const int64_t heads = x_THC.size(1), channels = x_THC.size(2), half = cos_TR.size(1),
                width = heads * channels;
  const float *x_data = x_THC.data_ptr<float>(), *cos = cos_TR.data_ptr<float>(),
              *sin = sin_TR.data_ptr<float>();
  float* y_data = y.data_ptr<float>();
  at::parallel_for(0, x_THC.size(0), 1 + 32768 / width, [&](int64_t begin, int64_t end) {
    cpu_kernels().rotary(x_data + begin * width, cos + begin * half, sin + begin * half,
                         y_data + begin * width, end - begin, heads, channels, half, direction);
  });
  return y;
}

class RotaryCpu : public torch::autograd::Function<RotaryCpu> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_THC, const Tensor& cos_TR,
                        const Tensor& sin_TR) {
    const Tensor cos = cos_TR.contiguous(), sin = sin_TR.contiguous();
    context->save_for_backward({cos, sin});
    return rotate(x_THC.contiguous(), cos, sin, 1);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    return {rotate(grads[0].contiguous(), saved[0], saved[1], -1), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor rotary_reference(const Tensor& x_THC, const Tensor& cos_TR, const Tensor& sin_TR) {
  const int64_t half = cos_TR.size(-1), channels = x_THC.size(-1);
  const Tensor cos = cos_TR.unsqueeze(1).to(x_THC.scalar_type());
  const Tensor sin = sin_TR.unsqueeze(1).to(x_THC.scalar_type());
  const Tensor a = x_THC.narrow(-1, 0, half), b = x_THC.narrow(-1, half, half);
  const Tensor rest = x_THC.narrow(-1, 2 * half, channels - 2 * half);
  return torch::cat({a * cos - b * sin, b * cos + a * sin, rest}, -1);
}

Tensor rotary(const Tensor& x_THC, const Tensor& cos_TR, const Tensor& sin_TR) {
  DMOERM_ASSERT(x_THC.dim() == 3 && cos_TR.sizes() == sin_TR.sizes() && cos_TR.size(0) == x_THC.size(0) &&
                2 * cos_TR.size(1) <= x_THC.size(2));
  if (on_cuda(x_THC)) return rotary_cuda(x_THC, cos_TR, sin_TR);
  const bool cpu_float = x_THC.device().is_cpu() && x_THC.scalar_type() == torch::kFloat32 &&
                         cos_TR.scalar_type() == torch::kFloat32;
  if (!cpu_float || x_THC.numel() == 0) return rotary_reference(x_THC, cos_TR, sin_TR);
  return RotaryCpu::apply(x_THC, cos_TR, sin_TR);
}

}  // namespace dmoerm::ops
