#include "dmoerm/nn/moe_layer.h"

#include <fmt/format.h>

#include <algorithm>

#include "dmoerm/core/device_copy.h"
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

// The number of each row's LoRA expert; 0: none.
ops::RowParts lora_parts(const Rows& rows, int64_t num_rows, torch::Device device) {
  std::vector<int64_t> part(num_rows, 0);
  const std::vector<int64_t>& offsets = rows.expert_offsets;
  for (size_t e = 0; e + 1 < offsets.size(); ++e)
    std::fill(part.begin() + offsets[e], part.begin() + offsets[e + 1], static_cast<int64_t>(e) + 1);
  return {copy_to_device(part, device), static_cast<int64_t>(offsets.size())};
}

ops::Dispatch dispatch_rows(const ForwardPass& pass, int64_t layer, const Routing& routing,
                            const Rows& rows) {
  const Tensor& expert_Tk = routing.expert_Tk;
  ops::Capacity capacity;
  if (const double factor = pass.routing().capacity_factor; factor > 0)
    capacity.rows = ops::expert_capacity(factor, expert_Tk.size(0), expert_Tk.size(1), routing.num_experts());
  ops::RowParts parts;
  if (has_expert_pairs(pass, layer)) parts = lora_parts(rows, expert_Tk.size(0), expert_Tk.device());
  return ops::dispatch(expert_Tk, routing.num_experts(), capacity, parts);
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
  const ops::Dispatch plan = dispatch_rows(pass, layer, routing, rows);
  const Tensor y_ND = moe_experts(pass, layer, ops::gather_rows(x_QD, plan), plan, rows);
  const Tensor y_QD = ops::combine_rows(y_ND, routing.weight_Tk, plan);
  if (RoutingTrace* trace = pass.routing().trace)
    trace->layers.push_back({layer, rows.index, routing, plan.slot_Tk});
  if (pass.config().moe->shared_intermediate_size == 0) return y_QD;
  return y_QD + shared_expert(pass, layer, x_QD, rows);
}

}  // namespace dmoerm::nn
