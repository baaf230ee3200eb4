#include "dmoerm/models/moe_settings.h"

#include <set>

#include "dmoerm/core/error.h"

namespace dmoerm::models {

int64_t read_num_experts(ConfigReader& config, int64_t fallback) {
  const auto experts = config.get<int64_t>("num_experts", fallback);
  const auto local = config.get<int64_t>("num_local_experts", experts);
  if (config.has("num_experts") && experts != local)
    fail(config.where(), "num_experts is {} and num_local_experts is {}, expected the same", experts, local);
  return local;
}

std::vector<bool> read_sparse_layers(ConfigReader& config, int64_t num_layers) {
  const auto step = config.get<int64_t>("decoder_sparse_step", 1);
  if (step < 1) fail(config.where(), "decoder_sparse_step is {}, expected at least 1", step);
  std::set<Json> dense;
  if (config.has("mlp_only_layers")) {
    const Json& layers = config.raw("mlp_only_layers");
    if (!layers.is_array())
      fail(config.where(), "\"mlp_only_layers\" is {}, expected a list", json_kind(layers));
    dense.insert(layers.begin(), layers.end());
  }
  std::vector<bool> sparse;
  for (int64_t layer = 0; layer < num_layers; ++layer)
    sparse.push_back((layer + 1) % step == 0 && dense.count(layer) == 0);
  return sparse == std::vector<bool>(num_layers, true) ? std::vector<bool>() : sparse;
}

void write_sparse_layers(const nn::DecoderConfig& decoder, Json& config) {
  config["decoder_sparse_step"] = 1;
  config["mlp_only_layers"] = Json::array();
  for (int64_t layer = 0; layer < decoder.num_layers; ++layer)
    if (!decoder.is_sparse(layer)) config["mlp_only_layers"].push_back(layer);
}

const nn::MoeConfig& experts_of(const nn::DecoderConfig& decoder, const char* family) {
  if (!decoder.moe) fail(family, "cannot write a decoder without experts");
  return *decoder.moe;
}

void ignore_router_training(ConfigReader& config) {
  config.ignore({"output_router_logits", "router_aux_loss_coef", "router_jitter_noise"});
}

std::vector<StoredModule> stored_experts() {
  return {{"mlp.experts.gate_up_proj", {"mlp.experts.*.gate_proj.weight", "mlp.experts.*.up_proj.weight"}},
          {"mlp.experts.down_proj", {"mlp.experts.*.down_proj.weight"}}};
}

}  // namespace dmoerm::models
