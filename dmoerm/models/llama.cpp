// Llama 1 to 3 and whatever shares their shape: LlamaConfig of transformers 4 and 5.
#include "dmoerm/models/common_config.h"
#include "dmoerm/models/family.h"

namespace dmoerm::models {
namespace {

nn::DecoderConfig read_llama(ConfigReader& config) {
  nn::DecoderConfig decoder = read_common_config(config);
  decoder.qkv_bias = decoder.o_bias = config.get("attention_bias", false);
  decoder.mlp_bias = config.get("mlp_bias", false);
  // Splits the products into slices and adds them up again: the numbers are the same.
  config.ignore({"pretraining_tp"});
  decoder.validate(config.where());
  return decoder;
}

void write_llama(const nn::DecoderConfig& decoder, Json& config) {
  write_common_config(decoder, config);
  config["attention_bias"] = decoder.qkv_bias;
  config["mlp_bias"] = decoder.mlp_bias;
}

}  // namespace

const Family kLlama = {"llama", "Llama", read_llama, write_llama};

}  // namespace dmoerm::models
