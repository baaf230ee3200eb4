#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda/elementwise.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// [rows, width] whose rows may lie apart.
Tensor as_rows(const Tensor& x) {
  const int64_t width = x.size(-1);
  if (x.dim() == 2 && x.stride(1) == 1) return x;
  return x.contiguous().view({x.numel() / width, width});
}

struct NormResult {
  Tensor sum, y, inverse_rms;  // [rows, width], [rows, width], [rows]
};

NormResult run_norm(const Tensor& x, const Tensor& delta, const Tensor& weight, double eps) {
  NormResult result;
  result.y = torch::empty(x.sizes(), x.options());
  result.sum = delta.defined() ? torch::empty(x.sizes(), x.options()) : x;
  result.inverse_rms = torch::empty({x.size(0)}, x.options().dtype(torch::kFloat32));
  RmsNormForward norm = {};
  norm.type = float_type(x);
  norm.weight_type = float_type(weight);
  norm.x = x.data_ptr();
  norm.weight = weight.data_ptr();
  norm.y = result.y.data_ptr();
  norm.inverse_rms = result.inverse_rms.data_ptr<float>();
  norm.rows = x.size(0);
  norm.width = x.size(1);
  norm.x_stride = x.stride(0);
  norm.eps = static_cast<float>(eps);
  if (delta.defined()) {
    norm.delta = delta.data_ptr();
    norm.delta_stride = delta.stride(0);
    norm.sum = result.sum.data_ptr();
  }
  check_cuda(rms_norm_forward(norm, current_stream(x)), "rms_norm");
  return result;
}

// Gradients of what was normed and of the weight, where asked for. grad_sum may be undefined.
std::pair<Tensor, Tensor> run_backward(const Tensor& sum, const Tensor& weight, const Tensor& inverse_rms,
                                       const Tensor& grad_y, const Tensor& grad_sum, bool with_weight) {
  const Tensor grad_x = torch::empty(sum.sizes(), sum.options());
  RmsNormBackward norm = {};
  norm.type = float_type(sum);
  norm.weight_type = float_type(weight);
  norm.sum = sum.data_ptr();
  norm.weight = weight.data_ptr();
  norm.grad_y = grad_y.data_ptr();
  norm.grad_sum = grad_sum.defined() ? grad_sum.data_ptr() : nullptr;
  norm.inverse_rms = inverse_rms.data_ptr<float>();
  norm.grad_x = grad_x.data_ptr();
  norm.rows = sum.size(0);
  norm.width = sum.size(1);
  norm.sum_stride = sum.stride(0);
  Tensor partial;
  if (with_weight) {
    partial = torch::empty({rms_norm_partial_rows(norm.rows, norm.width), norm.width}, inverse_rms.options());
    norm.partial = partial.data_ptr<float>();
  }
  check_cuda(rms_norm_backward(norm, current_stream(sum)), "rms_norm");
  return {grad_x, with_weight ? partial.sum(0).to(weight.scalar_type()) : Tensor()};
}

// A weight of another type than the kernel takes beside x.
Tensor fitting_weight(const Tensor& weight_D, const Tensor& x) {
  const bool fits = weight_D.scalar_type() == x.scalar_type() || weight_D.scalar_type() == torch::kFloat32;
  return (fits ? weight_D : weight_D.to(torch::kFloat32)).contiguous();
}

class RmsNormCuda : public Function<RmsNormCuda> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_TD, const Tensor& weight_D, double eps) {
    const Tensor x = as_rows(x_TD), weight = fitting_weight(weight_D, x);
    const NormResult result = run_norm(x, Tensor(), weight, eps);
    context->save_for_backward({result.sum, weight, result.inverse_rms});
    context->saved_data["sizes"] = x_TD.sizes().vec();
    return result.y.view(x_TD.sizes());
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor grad_y = grads[0].contiguous().view(saved[0].sizes());
    const auto [grad_x, grad_weight] =
        run_backward(saved[0], saved[1], saved[2], grad_y, Tensor(), context->needs_input_grad(1));
    return {grad_x.view(context->saved_data["sizes"].toIntVector()), grad_weight, Tensor()};
  }
};

class AddRmsNormCuda : public Function<AddRmsNormCuda> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& x_TD, const Tensor& delta_TD,
                               const Tensor& weight_D, double eps) {
    const Tensor x = as_rows(x_TD), weight = fitting_weight(weight_D, x);
    const NormResult result = run_norm(x, as_rows(delta_TD), weight, eps);
    context->set_materialize_grads(false);  // of a result that is not used there is no gradient to read
    context->save_for_backward({result.sum, weight, result.inverse_rms});
    return {result.sum, result.y};
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    if (!grads[1].defined()) return {grads[0], grads[0], Tensor(), Tensor()};  // the weight has no part in it
    const Tensor grad_sum = grads[0].defined() ? grads[0].contiguous() : Tensor();
    const auto [grad_x, grad_weight] = run_backward(saved[0], saved[1], saved[2], grads[1].contiguous(),
                                                    grad_sum, context->needs_input_grad(2));
    return {grad_x, grad_x, grad_weight, Tensor()};
  }
};

}  // namespace

Tensor rms_norm_cuda(const Tensor& x_TD, const Tensor& weight_D, double eps) {
  return RmsNormCuda::apply(x_TD, weight_D, eps);
}

NormedSum add_rms_norm_cuda(const Tensor& x_TD, const Tensor& delta_TD, const Tensor& weight_D, double eps) {
  DMOERM_ASSERT(x_TD.dim() == 2 && x_TD.sizes() == delta_TD.sizes());
  DMOERM_ASSERT(x_TD.scalar_type() == delta_TD.scalar_type());
  const variable_list both = AddRmsNormCuda::apply(x_TD, delta_TD, weight_D, eps);
  return {both[0], both[1]};
}

}  // namespace dmoerm::ops
