#include "dmoerm/nn/router.h"

#include <limits>
#include <utility>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"
#include "dmoerm/ops/float32_linear.h"
#include "dmoerm/ops/top_k.h"

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
  routing.scores_TE =
      config_.score == RouterScore::Softmax ? routing.logits_TE.softmax(1) : routing.logits_TE.sigmoid();
  routing.expert_Tk = choose(routing.scores_TE.detach());
  Tensor weight_Tk = routing.scores_TE.gather(1, routing.expert_Tk);
  if (config_.normalize) weight_Tk = weight_Tk / (weight_Tk.sum(1, true) + 1e-20);
  routing.weight_Tk = config_.scale == 1 ? weight_Tk : weight_Tk * config_.scale;
  return routing;
}

Tensor TopKRouter::choose(const Tensor& scores_TE) const {
  Tensor choice_TE = scores_TE;
  if (bias_E_.defined()) choice_TE = choice_TE + bias_E_.detach().to(choice_TE.scalar_type());
  if (config_.top_groups < config_.num_groups)
    choice_TE =
        choice_TE.masked_fill(outside_best_groups(choice_TE), -std::numeric_limits<double>::infinity());
  return ops::top_k(choice_TE, config_.top_k);
}

Tensor TopKRouter::outside_best_groups(const Tensor& choice_TE) const {
  const int64_t num_rows = choice_TE.size(0), num_groups = config_.num_groups;
  const int64_t group_size = config_.num_experts / num_groups;
  const Tensor score_TG =
      std::get<0>(choice_TE.view({num_rows, num_groups, group_size}).topk(config_.group_best, 2)).sum(2);
  const Tensor best = ops::top_k(score_TG, config_.top_groups);
  const Tensor outside_TG = torch::ones(score_TG.sizes(), score_TG.options().dtype(torch::kBool));
  return outside_TG.scatter(1, best, false).unsqueeze(2).expand({-1, -1, group_size}).flatten(1);
}

}  // namespace dmoerm::nn
