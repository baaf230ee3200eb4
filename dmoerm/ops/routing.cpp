#include "dmoerm/ops/routing.h"

#include <limits>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_ops.h"

namespace dmoerm::ops {
namespace {

// True where an expert's group is not among the row's best.
Tensor outside_best_groups(const Tensor& choice_TE, const RoutingRule& rule) {
  const int64_t num_rows = choice_TE.size(0), group_size = choice_TE.size(1) / rule.num_groups;
  const Tensor score_TG =
      std::get<0>(choice_TE.view({num_rows, rule.num_groups, group_size}).topk(rule.group_best, 2)).sum(2);
  const Tensor best = top_k(score_TG, rule.top_groups);
  const Tensor outside_TG = torch::ones(score_TG.sizes(), score_TG.options().dtype(torch::kBool));
  return outside_TG.scatter(1, best, false).unsqueeze(2).expand({-1, -1, group_size}).flatten(1);
}

Tensor choose(const Tensor& scores_TE, const Tensor& bias_E, const RoutingRule& rule) {
  Tensor choice_TE = scores_TE;
  if (bias_E.defined()) choice_TE = choice_TE + bias_E.detach().to(choice_TE.scalar_type());
  if (rule.top_groups < rule.num_groups)
    choice_TE =
        choice_TE.masked_fill(outside_best_groups(choice_TE, rule), -std::numeric_limits<double>::infinity());
  return top_k(choice_TE, rule.top_k);
}

}  // namespace

RoutedRows route_rows_reference(const Tensor& logits_TE, const Tensor& bias_E, const RoutingRule& rule) {
  RoutedRows routed;
  routed.scores_TE = rule.sigmoid ? logits_TE.sigmoid() : logits_TE.softmax(1);
  routed.expert_Tk = choose(routed.scores_TE.detach(), bias_E, rule);
  Tensor weight_Tk = routed.scores_TE.gather(1, routed.expert_Tk);
  if (rule.normalize) weight_Tk = weight_Tk / (weight_Tk.sum(1, true) + 1e-20);
  routed.weight_Tk = rule.scale == 1 ? weight_Tk : weight_Tk * rule.scale;
  return routed;
}

RoutedRows route_rows(const Tensor& logits_TE, const Tensor& bias_E, const RoutingRule& rule) {
  DMOERM_ASSERT(logits_TE.dim() == 2 && rule.top_k <= logits_TE.size(1));
  return takes_routing(logits_TE, rule) ? route_rows_cuda(logits_TE, bias_E, rule)
                                        : route_rows_reference(logits_TE, bias_E, rule);
}

Tensor top_k(const Tensor& x_TE, int64_t k) {
  return takes_top_k(x_TE) ? top_k_cuda(x_TE, k) : std::get<1>(x_TE.topk(k, 1));
}

}  // namespace dmoerm::ops
