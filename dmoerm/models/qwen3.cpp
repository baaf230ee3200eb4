// Qwen3: RMS norms over each query and key head, no biases by default. Qwen3Config of transformers 4 and 5.
#include "dmoerm/models/common_config.h"
#include "dmoerm/models/family.h"

namespace dmoerm::models {
namespace {

nn::DecoderConfig read_qwen3(ConfigReader& config) {
  nn::DecoderConfig decoder = read_common_config(config, {.num_kv_heads = 32, .head_dim = 128});
  decoder.query_key_norm = nn::QueryKeyNorm::Head;
  decoder.qkv_bias = decoder.o_bias = config.get("attention_bias", false);
  decoder.validate(config.where());
  read_layer_windows(config, decoder);
  decoder.validate(config.where());
  return decoder;
}

void write_qwen3(const nn::DecoderConfig& decoder, Json& config) {
  write_common_config(decoder, config);
  write_layer_windows(decoder, config);
  config["attention_bias"] = decoder.qkv_bias;
}

}  // namespace

const Family kQwen3 = {"qwen3", "Qwen3", read_qwen3, write_qwen3};

}  // namespace dmoerm::models
