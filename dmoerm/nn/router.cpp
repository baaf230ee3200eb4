#include "dmoerm/nn/router.h"

#include <utility>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"
#include "dmoerm/ops/float32_linear.h"
#include "dmoerm/ops/routing.h"

namespace dmoerm::nn {
namespace {

Tensor normal_noise(const RouterNoise& noise, int64_t num_rows, int64_t num_experts) {
  DMOERM_ASSERT(static_cast<int64_t>(noise.row_keys.size()) == num_rows);
  Tensor noise_TE = torch::empty({num_rows, num_experts}, torch::kFloat32);
  float* values = noise_TE.data_ptr<float>();
  for (int64_t t = 0; t < num_rows; ++t) {
    RandomStream stream(noise.seed, "router noise", {noise.row_keys[t]});
    for (int64_t e = 0; e < num_experts; ++e)
      *values++ = static_cast<float>(noise.deviation * stream.normal());
  }
  return noise_TE;
}

}  // namespace

TopKRouter::TopKRouter(const RouterConfig& config, Tensor weight_ED, Tensor bias_E, RouterNoise noise)
    : config_(config), weight_ED_(std::move(weight_ED)), bias_E_(std::move(bias_E)), noise_(noise) {
  DMOERM_ASSERT(weight_ED_.size(0) == config_.num_experts);
  DMOERM_ASSERT(bias_E_.defined() == config_.correction_bias);
}

Routing TopKRouter::route(const Tensor& x_TD) const {
  Routing routing;
  routing.logits_TE = ops::float32_linear(x_TD, weight_ED_);
  if (noise_.deviation > 0)
    routing.logits_TE = routing.logits_TE +
                        copy_to_device(normal_noise(noise_, x_TD.size(0), config_.num_experts), x_TD.device())
                            .to(routing.logits_TE.scalar_type());
  const ops::RoutedRows routed = ops::route_rows(routing.logits_TE, bias_E_,
                                                 {.top_k = config_.top_k,
                                                  .sigmoid = config_.score == RouterScore::Sigmoid,
                                                  .normalize = config_.normalize,
                                                  .scale = config_.scale,
                                                  .num_groups = config_.num_groups,
                                                  .top_groups = config_.top_groups,
                                                  .group_best = config_.group_best});
  routing.scores_TE = routed.scores_TE;
  routing.expert_Tk = routed.expert_Tk;
  routing.weight_Tk = routed.weight_Tk;
  return routing;
}

}  // namespace dmoerm::nn
