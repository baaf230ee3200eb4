// Rotary positions and SwiGLU on a GPU.
#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda/elementwise.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

Tensor turn(const Tensor& x_THC, const Tensor& cos_TR, const Tensor& sin_TR, float direction) {
  const Tensor x = x_THC.stride(2) == 1 ? x_THC : x_THC.contiguous();
  const Tensor y = torch::empty(x.sizes(), x.options());
  Rotary problem = {};
  problem.type = float_type(x);
  problem.x = x.data_ptr();
  problem.y = y.data_ptr();
  problem.cos = cos_TR.data_ptr<float>();
  problem.sin = sin_TR.data_ptr<float>();
  problem.rows = x.size(0);
  problem.heads = x.size(1);
  problem.channels = x.size(2);
  problem.half = cos_TR.size(1);
  problem.row_stride = x.stride(0);
  problem.head_stride = x.stride(1);
  problem.direction = direction;
  check_cuda(rotary(problem, current_stream(x)), "rotary");
  return y;
}

class RotaryCuda : public Function<RotaryCuda> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_THC, const Tensor& cos_TR,
                        const Tensor& sin_TR) {
    const Tensor cos = cos_TR.to(torch::kFloat32).contiguous(), sin = sin_TR.to(torch::kFloat32).contiguous();
    context->save_for_backward({cos, sin});
    return turn(x_THC, cos, sin, 1);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    return {turn(grads[0], saved[0], saved[1], -1), Tensor(), Tensor()};
  }
};

Tensor with_unit_stride(const Tensor& x) {
  return x.dim() == 2 && x.stride(1) == 1 ? x : x.contiguous().view({-1, x.size(-1)});
}

SwigluInputs inputs_of(const Tensor& gate, const Tensor& up) {
  return {float_type(gate), gate.data_ptr(), up.data_ptr(), gate.size(0),
          gate.size(1),     gate.stride(0),  up.stride(0)};
}

Tensor run_swiglu(const Tensor& gate, const Tensor& up) {
  const Tensor y = torch::empty(gate.sizes(), gate.options());
  check_cuda(swiglu_forward({inputs_of(gate, up), y.data_ptr()}, current_stream(gate)), "swiglu");
  return y;
}

// Writes the gradients into grad_gate and grad_up, whose rows lie equally far apart.
void run_swiglu_backward(const Tensor& gate, const Tensor& up, const Tensor& grad_y, const Tensor& grad_gate,
                         const Tensor& grad_up) {
  const SwigluBackward problem = {inputs_of(gate, up), grad_y.data_ptr(), grad_gate.data_ptr(),
                                  grad_up.data_ptr(), grad_gate.stride(0)};
  check_cuda(swiglu_backward(problem, current_stream(gate)), "swiglu");
}

class SwigluCuda : public Function<SwigluCuda> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& gate_TF, const Tensor& up_TF) {
    const Tensor gate = with_unit_stride(gate_TF), up = with_unit_stride(up_TF);
    context->save_for_backward({gate, up});
    context->saved_data["sizes"] = gate_TF.sizes().vec();
    return run_swiglu(gate, up).view(gate_TF.sizes());
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor grad_gate = torch::empty(saved[0].sizes(), saved[0].options());
    const Tensor grad_up = torch::empty(saved[0].sizes(), saved[0].options());
    run_swiglu_backward(saved[0], saved[1], grads[0].contiguous(), grad_gate, grad_up);
    const std::vector<int64_t> sizes = context->saved_data["sizes"].toIntVector();
    return {grad_gate.view(sizes), grad_up.view(sizes)};
  }
};

class SwigluHalvesCuda : public Function<SwigluHalvesCuda> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_T2F) {
    const Tensor x = with_unit_stride(x_T2F);
    context->save_for_backward({x});
    const int64_t width = x.size(1) / 2;
    return run_swiglu(x.narrow(1, 0, width), x.narrow(1, width, width));
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const Tensor x = context->get_saved_variables()[0];
    const Tensor grad = torch::empty(x.sizes(), x.options());
    const int64_t width = x.size(1) / 2;
    run_swiglu_backward(x.narrow(1, 0, width), x.narrow(1, width, width), grads[0].contiguous(),
                        grad.narrow(1, 0, width), grad.narrow(1, width, width));
    return {grad};
  }
};

}  // namespace

Tensor rotary_cuda(const Tensor& x_THC, const Tensor& cos_TR, const Tensor& sin_TR) {
  return RotaryCuda::apply(x_THC, cos_TR, sin_TR);
}

Tensor swiglu_cuda(const Tensor& gate_TF, const Tensor& up_TF) {
  DMOERM_ASSERT(gate_TF.scalar_type() == up_TF.scalar_type());
  return SwigluCuda::apply(gate_TF, up_TF);
}

Tensor swiglu_halves_cuda(const Tensor& x_T2F) {
  return SwigluHalvesCuda::apply(x_T2F);
}

}  // namespace dmoerm::ops
