// LoRA on the stacked parameters of a MoE layer's experts, as PEFT 0.18 and later keep it
// (target_parameters): lora_A [E * r, in], one expert after another, and lora_B [out, r * E], the rank before
// the expert. E experts, r rank.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/models/adapted_modules.h"
#include "dmoerm/nn/expert_set.h"

namespace dmoerm::models {

// Where the tensors of a stack lie: in the module itself, or, when both of its parameters are adapted, those
// of gate_up_proj one level deeper.
std::string tensor_module(const ExpertStack& stack, bool both);

// The update of each expert from the two tensors as stored.
std::vector<ops::LoraPair> unstack(const ExpertStack& stack, const Tensor& a, const Tensor& b, double scale);

struct StackedPair {
  Tensor a, b;
};
// The reverse, from the pairs of all experts, which have one rank and scale; Error when they have not.
StackedPair restack(const ExpertStack& stack, const nn::LoraExpert& lora);

}  // namespace dmoerm::models
