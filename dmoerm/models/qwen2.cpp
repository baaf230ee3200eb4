// Qwen2 and Qwen2.5: biases on q, k and v, and a sliding window in some layers. Qwen2Config of transformers 4
// and 5.
#include "dmoerm/models/common_config.h"
#include "dmoerm/models/family.h"

namespace dmoerm::models {
namespace {

nn::DecoderConfig read_qwen2(ConfigReader& config) {
  nn::DecoderConfig decoder = read_common_config(config, {.num_kv_heads = 32});
  decoder.qkv_bias = true;
  decoder.validate(config.where());
  read_layer_windows(config, decoder);
  decoder.validate(config.where());
  return decoder;
}

void write_qwen2(const nn::DecoderConfig& decoder, Json& config) {
  write_common_config(decoder, config);
  write_layer_windows(decoder, config);
}

}  // namespace

const Family kQwen2 = {"qwen2", "Qwen2", read_qwen2, write_qwen2};

}  // namespace dmoerm::models
