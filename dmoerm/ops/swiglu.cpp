#include "dmoerm/ops/swiglu.h"

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cpu_kernels.h"
#include "dmoerm/ops/cuda_ops.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16384;

// Calls body(offset in gate, offset in up, offset in a contiguous tensor, count) for parts of both. Halves of
// a fused projection need not be copied.
template <typename Body>
void for_parts(const Tensor& gate, const Tensor& up, Body body) {
  if (gate.is_contiguous() && up.is_contiguous()) {
    at::parallel_for(0, gate.numel(), kGrain,
                     [&](int64_t begin, int64_t end) { body(begin, begin, begin, end - begin); });
    return;
  }
  const int64_t width = gate.size(1);
  at::parallel_for(0, gate.size(0), 1 + kGrain / (width + 1), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) body(t * gate.stride(0), t * up.stride(0), t * width, width);
  });
}

Tensor with_plain_rows(const Tensor& x) {
  return x.dim() == 2 && x.stride(1) == 1 ? x : x.contiguous();
}

class SwigluCpu : public torch::autograd::Function<SwigluCpu> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& gate_TF, const Tensor& up_TF) {
    const Tensor gate = with_plain_rows(gate_TF), up = with_plain_rows(up_TF);
    const Tensor y = torch::empty(gate.sizes(), gate.options());
    const float *gate_data = gate.data_ptr<float>(), *up_data = up.data_ptr<float>();
    float* y_data = y.data_ptr<float>();
    for_parts(gate, up, [&](int64_t from_gate, int64_t from_up, int64_t to, int64_t count) {
      cpu_kernels().swiglu_forward(gate_data + from_gate, up_data + from_up, y_data + to, count);
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
    for_parts(saved[0], saved[1], [&](int64_t from_gate, int64_t from_up, int64_t at, int64_t count) {
      cpu_kernels().swiglu_backward(gate + from_gate, up + from_up, y + at, to_gate + at, to_up + at, count);
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
  if (on_cuda(gate_TF)) return swiglu_cuda(gate_TF, up_TF);
  const bool cpu_float = gate_TF.device().is_cpu() && gate_TF.scalar_type() == torch::kFloat32 &&
                         up_TF.scalar_type() == torch::kFloat32;
  if (!cpu_float) return swiglu_reference(gate_TF, up_TF);
  return SwigluCpu::apply(gate_TF, up_TF);
}

Tensor swiglu_halves(const Tensor& x_T2F) {
  DMOERM_ASSERT(x_T2F.dim() == 2 && x_T2F.size(1) % 2 == 0);
  if (on_cuda(x_T2F)) return swiglu_halves_cuda(x_T2F);
  const std::vector<Tensor> halves = x_T2F.chunk(2, 1);
  return swiglu(halves[0], halves[1]);
}

}  // namespace dmoerm::ops
