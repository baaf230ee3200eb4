// What PEFT may adapt in a transformers model, by its names there, and the layers here that it stands for.
// E experts of a MoE layer.
#pragma once

#include <string>
#include <vector>

#include "dmoerm/models/weight_names.h"
#include "dmoerm/nn/decoder_config.h"

namespace dmoerm::models {

struct AdaptedModule {
  std::string name;       // "model.layers.0.self_attn.q_proj", "model.layers.0.block_sparse_moe.experts.3.w1"
  nn::LinearShape layer;  // "layers.0.self_attn.q_proj", "layers.0.mlp.experts.3.gate_proj"
};

// The matrices [E, out, in] of all experts in one parameter, as transformers 5 keeps them.
struct ExpertStack {
  std::string module;      // "model.layers.0.mlp.experts"
  std::string projection;  // "gate_up_proj", "down_proj"
  std::string layers;      // "layers.0.mlp.experts."
  int64_t num_experts = 0, out = 0, in = 0;

  std::string name() const { return module + "." + projection; }
  std::string layer_of(int64_t expert) const { return layers + std::to_string(expert) + "." + projection; }
  bool holds(const std::string& layer) const {
    return layer.starts_with(layers) && layer.ends_with("." + projection);
  }
};

std::string module_name(const WeightNames& names, const std::string& layer);
std::vector<AdaptedModule> adapted_modules(const std::vector<nn::LinearShape>& layers,
                                           const WeightNames& names);
// Of layers that are projections of experts, each alone ("gate_proj") or stacked ("gate_up_proj").
std::vector<ExpertStack> expert_stacks(const std::vector<nn::LinearShape>& layers, const WeightNames& names);

}  // namespace dmoerm::models
