#include "dmoerm/nn/moe_layer.h"

#include <fmt/format.h>

#include "dmoerm/core/hash.h"
#include "dmoerm/nn/feed_forward.h"
#include "dmoerm/nn/routing_trace.h"

namespace dmoerm::nn {
namespace {

Routing route_rows(const ForwardPass& pass, int64_t layer, const Tensor& x_QD, const Rows& rows) {
  const RouterConfig& config = pass.config().moe->router;
  const std::string prefix = fmt::format("layers.{}.mlp.", layer);
  const Tensor bias_E = config.correction_bias ? pass.weight(prefix + kCorrectionBias) : Tensor();
  const RoutingOptions& options = pass.routing();
  const std::vector<uint64_t> keys = options.noise > 0 ? pass.row_keys(rows) : std::vector<uint64_t>();
  const RouterNoise noise = {options.noise, hash64(prefix, options.noise_seed), keys};
  return TopKRouter(config, pass.weight(prefix + "gate.weight"), bias_E, noise).route(x_QD);
}

ops::Dispatch dispatch_rows(const Routing& routing, double capacity_factor) {
  ops::Capacity capacity;
  if (capacity_factor > 0)
    capacity.rows = ops::expert_capacity(capacity_factor, routing.expert_Tk.size(0),
                                         routing.expert_Tk.size(1), routing.num_experts());
  return ops::dispatch(routing.expert_Tk, routing.num_experts(), capacity);
}

Tensor shared_expert(const ForwardPass& pass, int64_t layer, const Tensor& x_QD, const Rows& rows) {
  const std::string prefix = fmt::format("layers.{}.mlp.", layer);
  const Tensor y_QD = feed_forward(pass, prefix + "shared_expert.", x_QD, rows);
  if (!pass.config().moe->shared_expert_gate) return y_QD;
  return y_QD * pass.linear(prefix + "shared_expert_gate", x_QD, rows).sigmoid();
}

}  // namespace

Tensor moe_layer(const ForwardPass& pass, int64_t layer, const Tensor& x_QD, const Rows& rows) {
  const Routing routing = route_rows(pass, layer, x_QD, rows);
  const ops::Dispatch plan = dispatch_rows(routing, pass.routing().capacity_factor);
  const Tensor y_ND = moe_experts(pass, layer, ops::gather_rows(x_QD, plan), plan, rows);
  const Tensor y_QD = ops::combine_rows(y_ND, routing.weight_Tk, plan);
  if (RoutingTrace* trace = pass.routing().trace)
    trace->layers.push_back({layer, rows.index, routing, plan.num_dropped()});
  if (pass.config().moe->shared_intermediate_size == 0) return y_QD;
  return y_QD + shared_expert(pass, layer, x_QD, rows);
}

}  // namespace dmoerm::nn
