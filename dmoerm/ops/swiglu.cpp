#include "dmoerm/ops/swiglu.h"

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cpu_kernels.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16384;

class SwigluCpu : public torch::autograd::Function<SwigluCpu> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& gate_TF, const Tensor& up_TF) {
    const Tensor gate = gate_TF.contiguous(), up = up_TF.contiguous(), y = torch::empty_like(gate);
    const float *gate_data = gate.data_ptr<float>(), *up_data = up.data_ptr<float>();
    float* y_data = y.data_ptr<float>();
    at::parallel_for(0, y.numel(), kGrain, [&](int64_t begin, int64_t end) {
      cpu_kernels().swiglu_forward(gate_data + begin, up_data + begin, y_data + begin, end - begin);
    });
    context->save_for_backward({gate, up});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor grad_y = grads[0].contiguous();
    const Tensor grad_gate = torch::empty_like(grad_y), grad_up = torch::empty_like(grad_y);
    const float *gate = saved[0].data_ptr<float>(), *up = saved[1].data_ptr<float>(),
                *y = grad_y.data_ptr<float>();
    float *to_gate = grad_gate.data_ptr<float>(), *to_up = grad_up.data_ptr<float>();
    at::parallel_for(0, grad_y.numel(), kGrain, [&](int64_t begin, int64_t end) {
      cpu_kernels().swiglu_backward(gate + begin, up + begin, y + begin, to_gate + begin, to_up + begin,
                                    end - begin);
    });
    return {grad_gate, grad_up};
  }
};

}  // namespace

Tensor swiglu_reference(const Tensor& gate_TF, const Tensor& up_TF) {
  return torch::silu(gate_TF) * up_TF;
}

Tensor swiglu(const Tensor& gate_TF, const Tensor& up_TF) {
  DMOERM_ASSERT(gate_TF.sizes() == up_TF.sizes());
  const bool cpu_float = gate_TF.device().is_cpu() && gate_TF.scalar_type() == torch::kFloat32 &&
                         up_TF.scalar_type() == torch::kFloat32;
  if (!cpu_float) return swiglu_reference(gate_TF, up_TF);
  return SwigluCpu::apply(gate_TF, up_TF);
}

}  // namespace dmoerm::ops
