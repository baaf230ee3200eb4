// Mistral: Llama's shape without biases, and a sliding window in every layer. MistralConfig of transformers 4
// and 5.
#include "dmoerm/models/common_config.h"
#include "dmoerm/models/family.h"

namespace dmoerm::models {
namespace {

nn::DecoderConfig read_mistral(ConfigReader& config) {
  nn::DecoderConfig decoder = read_common_config(config, {.num_kv_heads = 8});
  decoder.sliding_window = read_window(config, 4096);
  if (config.has("layer_types"))
    fail(config.where(), "\"layer_types\" is not supported with model_type mistral");
  decoder.validate(config.where());
  return decoder;
}

void write_mistral(const nn::DecoderConfig& decoder, Json& config) {
  write_common_config(decoder, config);
  config["sliding_window"] = decoder.sliding_window > 0 ? Json(decoder.sliding_window) : Json();
}

}  // namespace

const Family kMistral = {"mistral", "Mistral", read_mistral, write_mistral};

}  // namespace dmoerm::models
