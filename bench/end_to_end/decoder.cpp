#include "bench/end_to_end/contests.h"
#include "dmoerm/models/checkpoint.h"

namespace dmoerm::bench {

std::shared_ptr<nn::Decoder> make_decoder(const Setting& setting) {
  if (!setting.model.empty())
    return models::load_checkpoint(setting.model, {setting.device, setting.dtype}).decoder;
  torch::manual_seed(static_cast<int64_t>(setting.seed));
  NamedTensors weights;
  for (const auto& [name, shape] : nn::weight_shapes(setting.config)) {
    const auto options = torch::TensorOptions(setting.device).dtype(setting.dtype);
    const bool norm = shape.size() == 1 && !name.ends_with("bias");
    weights.emplace(name, norm ? torch::ones(shape, options) : torch::randn(shape, options) * 0.02);
  }
  return std::make_shared<nn::Decoder>(setting.config, std::move(weights));
}

}  // namespace dmoerm::bench
