// The shape of a decoder's mixture-of-experts layers. E experts, D width, F width of an expert.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace dmoerm::nn {

enum class RouterScore { Softmax, Sigmoid };

// Top-k choice of experts, as Mixtral, Qwen, OLMoE and DeepSeek V2 and V3 do it (router.h).
struct RouterConfig {
  int64_t num_experts = 0, top_k = 0;
  RouterScore score = RouterScore::Softmax;
  bool normalize = false;        // the weights of a row are divided by their sum
  double scale = 1;              // of the weights, in the end
  bool correction_bias = false;  // e_score_correction_bias is added to the scores for the choice alone
  // Group-limited choice: the experts lie in num_groups equal groups, and a row takes experts of its best
  // top_groups groups only. A group's score is the sum of its best `group_best` scores (V2: 1, V3: 2).
  int64_t num_groups = 1, top_groups = 1, group_best = 1;

  bool operator==(const RouterConfig&) const = default;
};

// The weight of a router's correction bias, behind "layers.N.mlp.".
inline constexpr const char* kCorrectionBias = "gate.e_score_correction_bias";

struct MoeConfig {
  RouterConfig router;
  int64_t intermediate_size = 0;  // F
  // A feed-forward layer that every row takes beside its experts; several shared experts are one wide one,
  // and a residual expert (DeepSpeed, OpenMoE) is one without a gate. 0: none.
  int64_t shared_intermediate_size = 0;
  bool shared_expert_gate = false;  // its output is multiplied by sigmoid(shared_expert_gate(x))
  std::vector<bool> sparse_layers;  // the other layers are dense; empty: all are sparse

  bool operator==(const MoeConfig&) const = default;
  bool is_sparse(int64_t layer) const { return sparse_layers.empty() || sparse_layers[layer]; }
  void validate(int64_t num_layers, std::string_view where) const;  // Error, naming the value
};

}  // namespace dmoerm::nn
