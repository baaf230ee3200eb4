#include "dmoerm/ops/float32_linear.h"

#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/sum_type.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A float32 matrix [T, O] as two bfloat16 ones side by side, [T, 2 O], whose sum is off by at most
// 2^-17 of each number.
Tensor high_and_low(const Tensor& x_TO) {
  const Tensor high_TO = x_TO.to(torch::kBFloat16);
  return torch::cat({high_TO, (x_TO - high_TO).to(torch::kBFloat16)}, 1);
}

// On a GPU rows need no float32 copy: products of two bfloat16 or float16 numbers are exact in float32, in
// which they are added up. Nor do gradients beside bfloat16 rows: products of float32 are slow there.
class Float32LinearCuda : public torch::autograd::Function<Float32LinearCuda> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_TI, const Tensor& weight_OI) {
    context->save_for_backward({x_TI, weight_OI});
    return float32_mm_cuda(x_TI, weight_OI.t());
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &x_TI = saved[0], &weight_OI = saved[1];
    variable_list result(2);
    if (x_TI.scalar_type() != torch::kBFloat16) {
      if (context->needs_input_grad(0))
        result[0] = torch::mm(grads[0], weight_OI.to(torch::kFloat32)).to(x_TI.scalar_type());
      if (context->needs_input_grad(1))
        result[1] = torch::mm(grads[0].t(), x_TI.to(torch::kFloat32)).to(weight_OI.scalar_type());
      return result;
    }
    const Tensor grad_TP = high_and_low(grads[0]);  // P = 2 O
    if (context->needs_input_grad(0)) result[0] = torch::mm(grad_TP, torch::cat({weight_OI, weight_OI}));
    if (context->needs_input_grad(1))
      result[1] = float32_mm_cuda(grad_TP.t(), x_TI)
                      .view({2, weight_OI.size(0), weight_OI.size(1)})
                      .sum(0)
                      .to(weight_OI.scalar_type());
    return result;
  }
};

}  // namespace

Tensor float32_mm(const Tensor& x, const Tensor& y) {
  return on_cuda(x) && x.scalar_type() != torch::kFloat32 ? float32_mm_cuda(x, y) : torch::mm(x, y);
}

Tensor float32_linear(const Tensor& x_TI, const Tensor& weight_OI) {
  const auto type = x_TI.scalar_type();
  if (on_cuda(x_TI) && type != torch::kFloat32 && weight_OI.scalar_type() == type)
    return Float32LinearCuda::apply(x_TI, weight_OI);
  return torch::linear(x_TI.to(sum_type(x_TI)), weight_OI.to(sum_type(x_TI)));
}

}  // namespace dmoerm::ops
