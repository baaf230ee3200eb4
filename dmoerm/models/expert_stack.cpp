#include "dmoerm/models/expert_stack.h"

#include "dmoerm/core/error.h"

namespace dmoerm::models {

std::string tensor_module(const ExpertStack& stack, bool both) {
  return both && stack.projection == "gate_up_proj" ? stack.module + ".base_layer" : stack.module;
}

std::vector<ops::LoraPair> unstack(const ExpertStack& stack, const Tensor& a, const Tensor& b, double scale) {
  const Tensor a_Eri = a.view({stack.num_experts, -1, stack.in});
  const Tensor b_Eor = b.view({stack.out, -1, stack.num_experts}).permute({2, 0, 1});
  std::vector<ops::LoraPair> pairs;
  for (int64_t expert = 0; expert < stack.num_experts; ++expert)
    pairs.push_back({a_Eri[expert].contiguous(), b_Eor[expert].contiguous(), scale});
  return pairs;
}

StackedPair restack(const ExpertStack& stack, const nn::LoraExpert& lora) {
  std::vector<Tensor> as, bs;
  for (int64_t expert = 0; expert < stack.num_experts; ++expert) {
    const auto pair = lora.pairs.find(stack.layer_of(expert));
    if (pair == lora.pairs.end()) fail("adapter", "{} has no LoRA for expert {}", stack.name(), expert);
    as.push_back(pair->second.a.detach());
    bs.push_back(pair->second.b.detach());
    if (as.back().sizes() != as.front().sizes() ||
        pair->second.scale != lora.pairs.at(stack.layer_of(0)).scale)
      fail("adapter", "{}: the experts' LoRAs have several ranks or scales, a stack has one", stack.name());
  }
  const Tensor a_Eri = torch::stack(as), b_orE = torch::stack(bs, -1);
  return {a_Eri.reshape({-1, stack.in}), b_orE.reshape({stack.out, -1})};
}

}  // namespace dmoerm::models
