#include "dmoerm/models/merge_adapter.h"

#include <set>

namespace dmoerm::models {

namespace {

// The weight that a layer's update is added to, as a matrix of its own: a weight, or the part of a stack of
// experts that "layers.0.mlp.experts.3.up_proj" names.
struct MergedWeight {
  std::string name;       // of the whole weight
  int64_t expert = -1;    // -1: the whole
  int64_t first_row = 0;  // of the part
};

MergedWeight merged_weight(const std::string& layer, const ops::LoraPair& pair) {
  constexpr std::string_view kExperts = ".experts.";
  const size_t place = layer.find(kExperts);
  if (place == std::string::npos) return {layer + ".weight"};
  const size_t number = place + kExperts.size(), dot = layer.find('.', number);
  const std::string projection = layer.substr(dot + 1);
  MergedWeight weight{layer.substr(0, number) + (projection == "down_proj" ? "down_proj" : "gate_up_proj"),
                      std::stoll(layer.substr(number, dot - number))};
  if (projection == "up_proj") weight.first_row = pair.b.size(0);  // gate_proj and up_proj have one size
  return weight;
}

}  // namespace

nn::Decoder merge_adapter(const nn::Decoder& decoder, const nn::LoraExpert& lora) {
  torch::NoGradGuard no_grad;
  NamedTensors weights = decoder.weights();
  std::set<std::string> copied;
  for (const auto& [layer, pair] : lora.pairs) {
    const MergedWeight place = merged_weight(layer, pair);
    Tensor& whole = weights.at(place.name);
    if (copied.insert(place.name).second)
      whole = whole.to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
    const Tensor part =
        place.expert < 0 ? whole : whole[place.expert].narrow(0, place.first_row, pair.b.size(0));
    part.addmm_(pair.b, pair.a, 1, pair.scale);
  }
  return nn::Decoder(decoder.config(), std::move(weights));
}

}  // namespace dmoerm::models
