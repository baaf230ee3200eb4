#include "dmoerm/ops/linear_cross_entropy.h"

#include <algorithm>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/float32_linear.h"
#include "dmoerm/ops/sum_type.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Logits of a part: enough rows for full products, on the CPU few enough for its caches.
constexpr int64_t kPartBytesCpu = int64_t{32} << 20, kPartBytesCuda = int64_t{1} << 30;

int64_t rows_of_part(const Tensor& hidden_TD, int64_t vocab_size) {
  const int64_t bytes = hidden_TD.is_cuda() ? kPartBytesCuda : kPartBytesCpu;
  const int64_t of_row = vocab_size * (hidden_TD.is_cuda() ? hidden_TD.element_size() : 4);
  return std::max<int64_t>(1, bytes / of_row);
}

// The losses [N] of rows of logits, which become the gradients of the losses by them.
Tensor losses_of(const Tensor& logits_NV, const Tensor& target_N, bool with_gradient) {
  if (on_cuda(logits_NV)) return cross_entropy_cuda(logits_NV, target_N, with_gradient);
  Tensor log_p_NV = logits_NV.to(sum_type(logits_NV)).log_softmax(1);
  const Tensor target_N1 = target_N.unsqueeze(1), loss_N = -log_p_NV.gather(1, target_N1).squeeze(1);
  if (with_gradient) {
    log_p_NV.exp_().scatter_add_(1, target_N1, torch::full_like(loss_N, -1).unsqueeze(1));
    Tensor gradient = logits_NV;
    gradient.copy_(log_p_NV);
  }
  return loss_N;
}

class LinearCrossEntropy : public torch::autograd::Function<LinearCrossEntropy> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& hidden_TD, const Tensor& weight_VD,
                        const Tensor& target_T, bool for_hidden, bool for_weight) {
    const int64_t num_rows = hidden_TD.size(0), part = rows_of_part(hidden_TD, weight_VD.size(0));
    std::vector<Tensor> losses;
    // Gradients are kept in float32: rounded before the factor of backward() and after it, all would be off
    // alike.
    Tensor grad_TD, grad_VD;
    if (for_hidden) grad_TD = torch::empty(hidden_TD.sizes(), hidden_TD.options().dtype(sum_type(hidden_TD)));
    for (int64_t begin = 0; begin < num_rows; begin += part) {
      const int64_t count = std::min(part, num_rows - begin);
      const Tensor hidden = hidden_TD.narrow(0, begin, count), logits = torch::mm(hidden, weight_VD.t());
      losses.push_back(losses_of(logits, target_T.narrow(0, begin, count), for_hidden || for_weight).sum());
      if (for_hidden) grad_TD.narrow(0, begin, count).copy_(float32_mm(logits, weight_VD));
      if (!for_weight) continue;
      const Tensor grad = float32_mm(logits.t(), hidden).to(sum_type(hidden));  // many small terms
      grad_VD = grad_VD.defined() ? grad_VD.add_(grad) : grad;
    }
    context->save_for_backward({grad_TD, grad_VD});
    context->saved_data["type"] = hidden_TD.scalar_type();
    return torch::stack(losses).sum();
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor& factor = grads[0];  // often one over some thousand tokens, which bfloat16 would round
    variable_list result(5);
    for (size_t i = 0; i < 2; ++i)
      if (saved[i].defined())
        result[i] =
            (saved[i].to(factor.scalar_type()) * factor).to(context->saved_data["type"].toScalarType());
    return result;
  }
};

}  // namespace

Tensor linear_cross_entropy_reference(const Tensor& hidden_TD, const Tensor& weight_VD,
                                      const Tensor& target_T) {
  const Tensor logits_TV = torch::mm(hidden_TD, weight_VD.t()).to(sum_type(hidden_TD));
  return torch::cross_entropy_loss(logits_TV, target_T, {}, at::Reduction::Sum);
}

Tensor linear_cross_entropy(const Tensor& hidden_TD, const Tensor& weight_VD, const Tensor& target_T) {
  DMOERM_ASSERT(hidden_TD.dim() == 2 && hidden_TD.size(1) == weight_VD.size(1) && hidden_TD.size(0) > 0);
  DMOERM_ASSERT(target_T.dim() == 1 && target_T.size(0) == hidden_TD.size(0));
  const bool enabled = torch::GradMode::is_enabled();
  return LinearCrossEntropy::apply(hidden_TD.contiguous(), weight_VD, target_T,
                                   enabled && hidden_TD.requires_grad(),
                                   enabled && weight_VD.requires_grad());
}

}  // namespace dmoerm::ops
