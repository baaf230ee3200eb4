// Small sparse decoders for the tests.
#pragma once

#include "tests/nn/tiny_decoder.h"

namespace dmoerm::nn {

inline DecoderConfig tiny_moe_config(const RouterConfig& router, int64_t shared = 0,
                                     bool shared_gate = false) {
  DecoderConfig config = tiny_config();
  config.moe = MoeConfig{router, 10, shared, shared_gate, {}};
  return config;
}

// A router like Mixtral's; one with a gated shared expert like Qwen2-MoE's; one like DeepSeek-V3's over a
// first dense layer.
inline std::vector<std::pair<std::string, DecoderConfig>> tiny_moe_configs() {
  const RouterConfig v3 = {8, 3, RouterScore::Sigmoid, true, 2.5, true, 4, 2, 2};
  DecoderConfig deepseek = tiny_moe_config(v3, 12);
  deepseek.moe->sparse_layers = {false, true};
  return {{"mixtral", tiny_moe_config({4, 2, RouterScore::Softmax, true})},
          {"qwen2_moe", tiny_moe_config({6, 2, RouterScore::Softmax, false}, 14, true)},
          {"deepseek_v3", deepseek}};
}

// Experts on all kinds of layers, the second one also with fused pairs on experts 0 and 2 of the last layer.
inline ExpertSet tiny_moe_experts(const DecoderConfig& config, torch::ScalarType dtype = torch::kFloat32) {
  ExpertSet set = tiny_experts(config, dtype);
  const int64_t F = config.moe->intermediate_size, D = config.hidden_size;
  for (const int expert : {0, 2})
    set.experts[1].pairs[fmt::format("layers.1.mlp.experts.{}.gate_up_proj", expert)] = {
        random_tensor(fmt::format("fused a {}", expert), {2, D}, 0.2, dtype),
        random_tensor(fmt::format("fused b {}", expert), {2 * F, 2}, 0.3, dtype), 0.7};
  return set;
}

inline void require_gradients(Decoder& decoder, ExpertSet& set) {
  decoder.set_requires_grad(true);
  for (LoraExpert& expert : set.experts)
    for (auto& [name, pair] : expert.pairs) {
      pair.a.set_requires_grad(true);
      pair.b.set_requires_grad(true);
    }
}

// Every parameter of the decoder and of its experts.
inline std::vector<std::pair<std::string, Tensor>> all_parameters(const Decoder& decoder,
                                                                  const ExpertSet& set) {
  std::vector<std::pair<std::string, Tensor>> parameters;
  for (const auto& [name, weight] : decoder.weights())
    if (weight.requires_grad()) parameters.emplace_back(name, weight);
  for (size_t e = 0; e < set.experts.size(); ++e)
    for (const auto& [name, pair] : set.experts[e].pairs) {
      parameters.emplace_back(fmt::format("expert {} {} a", e, name), pair.a);
      parameters.emplace_back(fmt::format("expert {} {} b", e, name), pair.b);
    }
  return parameters;
}

// What backward() has added up, which is then forgotten.
inline NamedTensors taken_gradients(const std::vector<std::pair<std::string, Tensor>>& parameters) {
  NamedTensors gradients;
  for (auto [name, parameter] : parameters) {
    gradients[name] = parameter.grad().defined() ? parameter.grad().clone() : torch::zeros_like(parameter);
    parameter.mutable_grad() = Tensor();
  }
  return gradients;
}

}  // namespace dmoerm::nn
