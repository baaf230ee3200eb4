// Routers of MoE layers: the states of rows -> which experts each row takes, and with what weight.
// T rows, D width, E experts, k experts a row.
#pragma once

#include <cstdint>
#include <span>

#include "dmoerm/core/compat.h"
#include "dmoerm/nn/moe_config.h"

namespace dmoerm::nn {

// Numbers are float32 (float64 for float64 states).
struct Routing {
  Tensor expert_Tk;             // int64, the best first
  Tensor weight_Tk;             // of each expert's output in the row's sum; differentiable
  Tensor logits_TE, scores_TE;  // scores: softmax or sigmoid of the logits, before any bias; for the losses

  int64_t num_experts() const { return scores_TE.size(1); }
};

// What a MoE layer wants of a router: everything behind it sees only the Routing.
class Router {
 public:
  virtual ~Router() = default;
  virtual Routing route(const Tensor& x_TD) const = 0;
};

// Normal noise on the logits, for training experiments; drawn from (seed, row key, expert) alone, so that
// packing does not change it.
struct RouterNoise {
  double deviation = 0;
  uint64_t seed = 0;                   // of the step and the layer
  std::span<const uint64_t> row_keys;  // [T]; outlives the router
};

// scores = softmax or sigmoid of W x in float32; the k best (with the correction bias, within the best
// groups) are taken; their weights are the scores themselves, divided by their sum when `normalize`, times
// `scale`. Mixtral arXiv 2401.04088; DeepSeek-V2 arXiv 2405.04434, section 2.2.2; DeepSeek-V3 arXiv
// 2412.19437, section 2.1.2.
class TopKRouter : public Router {
 public:
  // weight_ED [E, D]; bias_E [E], undefined without a correction bias.
  TopKRouter(const RouterConfig& config, Tensor weight_ED, Tensor bias_E = {}, RouterNoise noise = {});
  Routing route(const Tensor& x_TD) const override;

 private:
  RouterConfig config_;
  Tensor weight_ED_, bias_E_;
  RouterNoise noise_;
};

}  // namespace dmoerm::nn
