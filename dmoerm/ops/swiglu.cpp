#include "dmoerm/ops/swiglu.h"

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cpu_float.h"
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
    const auto run = [&](auto kernel, const auto* gate_data, const auto* up_data, auto* y_data) {
      for_parts(gate, up, [&](int64_t from_gate, int64_t from_up, int64_t to, int64_t count) {
        kernel(gate_data + from_gate, up_data + from_up, y_data + to, count);
      });
    };
    if (gate.scalar_type() == torch::kFloat32)
      run(cpu_kernels().swiglu_forward, gate.data_ptr<float>(), up.data_ptr<float>(), y.data_ptr<float>());
    else
      run(cpu_kernels().swiglu_forward_bfloat16, bfloat16_data(gate), bfloat16_data(up), bfloat16_data(y));
    context->save_for_backward({gate, up});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &gate = saved[0], &up = saved[1], grad_y = grads[0].contiguous();
    const Tensor grad_gate = torch::empty_like(grad_y), grad_up = torch::empty_like(grad_y);
    const auto run = [&](auto kernel, const auto* gate_data, const auto* up_data, const auto* y,
                         auto* to_gate, auto* to_up) {
      for_parts(gate, up, [&](int64_t from_gate, int64_t from_up, int64_t at, int64_t count) {
        kernel(gate_data + from_gate, up_data + from_up, y + at, to_gate + at, to_up + at, count);
      });
    };
    if (gate.scalar_type() == torch::kFloat32)
      run(cpu_kernels().swiglu_backward, gate.data_ptr<float>(), up.data_ptr<float>(),
          grad_y.data_ptr<float>(), grad_gate.data_ptr<float>(), grad_up.data_ptr<float>());
    else
      run(cpu_kernels().swiglu_backward_bfloat16, bfloat16_data(gate), bfloat16_data(up),
          bfloat16_data(grad_y), bfloat16_data(grad_gate), bfloat16_data(grad_up));
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
  const torch::ScalarType type = gate_TF.scalar_type();
  const bool has_kernel = gate_TF.device().is_cpu() && type == up_TF.scalar_type() &&
                          (type == torch::kFloat32 || type == torch::kBFloat16);
  if (!has_kernel) return swiglu_reference(gate_TF, up_TF);
  return SwigluCpu::apply(gate_TF, up_TF);
}

Tensor swiglu_halves(const Tensor& x_T2F) {
  DMOERM_ASSERT(x_T2F.dim() == 2 && x_T2F.size(1) % 2 == 0);
  if (on_cuda(x_T2F)) return swiglu_halves_cuda(x_T2F);
  const std::vector<Tensor> halves = x_T2F.chunk(2, 1);
  return swiglu(halves[0], halves[1]);
}

}  // namespace dmoerm::ops
