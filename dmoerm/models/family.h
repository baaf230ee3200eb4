// Model families: how config.json is read and written, and how the files name the weights.
#pragma once

#include <string_view>

#include "dmoerm/models/config_reader.h"
#include "dmoerm/models/weight_names.h"
#include "dmoerm/nn/decoder_config.h"

namespace dmoerm::models {

struct Family {
  std::string_view name;          // model_type
  std::string_view class_prefix;  // of the transformers classes: "Llama" in "LlamaForCausalLM"
  // Settings that change the numbers are read or refused by name; settings without effect are ignored.
  nn::DecoderConfig (*read_config)(ConfigReader& config);
  // Sets every key that read_config() reads, in the spellings of transformers 4 and 5.
  void (*write_config)(const nn::DecoderConfig& decoder, Json& config);
  WeightNames names = {};
  bool has_classifier = true;  // whether transformers has a class of it with a score head
};

// Error, listing the known families, for another name.
const Family& find_family(std::string_view name, std::string_view where);

extern const Family kDeepseekV2, kDeepseekV3, kGptNeox, kLlama, kMistral, kMixtral, kOlmoe, kQwen2, kQwen2Moe,
    kQwen3, kQwen3Moe;

}  // namespace dmoerm::models
