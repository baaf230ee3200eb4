#include <ATen/ops/empty.h>

#include <optional>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda/routing.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class RouteRows : public torch::autograd::Function<RouteRows> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& logits_TE,
                               const std::optional<Tensor>& bias_E, int64_t k, bool sigmoid, bool normalize,
                               double scale) {
    const Tensor logits = logits_TE.contiguous(),
                 bias = bias_E ? bias_E->to(torch::kFloat32).contiguous() : Tensor();
    const Tensor scores_TE = at::empty(logits.sizes(), logits.options()),
                 weight_Tk = at::empty({logits.size(0), k}, logits.options()),
                 expert_Tk = at::empty({logits.size(0), k}, logits.options().dtype(torch::kInt64));
    check_cuda(route_rows({.logits = logits.data_ptr<float>(),
                           .bias = bias.defined() ? bias.data_ptr<float>() : nullptr,
                           .scores = scores_TE.data_ptr<float>(),
                           .expert = expert_Tk.data_ptr<int64_t>(),
                           .weight = weight_Tk.data_ptr<float>(),
                           .num_rows = logits.size(0),
                           .num_experts = logits.size(1),
                           .k = k,
                           .sigmoid = sigmoid,
                           .normalize = normalize,
                           .scale = static_cast<float>(scale)},
                          current_stream(logits)),
               "route_rows");
    context->save_for_backward({scores_TE, expert_Tk});
    context->mark_non_differentiable({expert_Tk});
    context->set_materialize_grads(false);
    context->saved_data["sigmoid"] = sigmoid;
    context->saved_data["normalize"] = normalize;
    context->saved_data["scale"] = scale;
    return {scores_TE, expert_Tk, weight_Tk};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &scores_TE = saved[0], &expert_Tk = saved[1];
    const auto plain = [](const Tensor& grad) { return grad.defined() ? grad.contiguous() : grad; };
    const Tensor grad_scores = plain(grads[0]), grad_weight = plain(grads[2]);
    const auto address = [](const Tensor& x) { return x.defined() ? x.data_ptr<float>() : nullptr; };
    const Tensor grad_logits = at::empty(scores_TE.sizes(), scores_TE.options());
    check_cuda(route_rows_backward({.scores = scores_TE.data_ptr<float>(),
                                    .expert = expert_Tk.data_ptr<int64_t>(),
                                    .grad_weight = address(grad_weight),
                                    .grad_scores = address(grad_scores),
                                    .grad_logits = grad_logits.data_ptr<float>(),
                                    .num_rows = scores_TE.size(0),
                                    .num_experts = scores_TE.size(1),
                                    .k = expert_Tk.size(1),
                                    .sigmoid = context->saved_data["sigmoid"].toBool(),
                                    .normalize = context->saved_data["normalize"].toBool(),
                                    .scale = static_cast<float>(context->saved_data["scale"].toDouble())},
                                   current_stream(scores_TE)),
               "route_rows");
    variable_list result(6);
    result[0] = grad_logits;
    return result;
  }
};

}  // namespace

bool takes_routing(const Tensor& logits_TE, const RoutingRule& rule) {
  return takes_top_k(logits_TE) && rule.top_k <= kMostWeights && rule.top_groups == rule.num_groups;
}

RoutedRows route_rows_cuda(const Tensor& logits_TE, const Tensor& bias_E, const RoutingRule& rule) {
  const auto bias = bias_E.defined() ? std::optional<Tensor>(bias_E.detach()) : std::nullopt;
  const variable_list routed =
      RouteRows::apply(logits_TE, bias, rule.top_k, rule.sigmoid, rule.normalize, rule.scale);
  return {routed[0], routed[1], routed[2]};
}

bool takes_top_k(const Tensor& x_TE) {
  return x_TE.is_cuda() && x_TE.scalar_type() == torch::kFloat32 && x_TE.size(1) <= kMostColumns;
}

Tensor top_k_cuda(const Tensor& x_TE, int64_t k) {
  DMOERM_ASSERT(k <= x_TE.size(1));
  const Tensor x = x_TE.contiguous(), best = at::empty({x.size(0), k}, x.options().dtype(torch::kInt64));
  check_cuda(
      find_top_k({x.data_ptr<float>(), best.data_ptr<int64_t>(), x.size(0), x.size(1), k}, current_stream(x)),
      "top_k");
  return best;
}

}  // namespace dmoerm::ops
