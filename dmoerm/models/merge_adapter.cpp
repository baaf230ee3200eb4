#include "dmoerm/models/merge_adapter.h"

namespace dmoerm::models {

nn::Decoder merge_adapter(const nn::Decoder& decoder, const nn::LoraExpert& lora) {
  torch::NoGradGuard no_grad;
  NamedTensors weights = decoder.weights();
  for (const auto& [layer, pair] : lora.pairs) {
    Tensor& weight = weights.at(layer + ".weight");
    weight = torch::addmm(weight.to(torch::kFloat32), pair.b, pair.a, 1, pair.scale);
  }
  return nn::Decoder(decoder.config(), std::move(weights));
}

}  // namespace dmoerm::models
