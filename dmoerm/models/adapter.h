// PEFT LoRA directories: adapter_config.json, adapter_model.safetensors with the score head. D width.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dmoerm/core/json.h"
#include "dmoerm/models/weight_names.h"
#include "dmoerm/nn/decoder.h"

namespace dmoerm::models {

// How a new expert is made.
struct LoraOptions {
  int64_t rank = 8;
  double alpha = 8, dropout = 0;
  bool rslora = false;
  // Ends of module names ("q_proj", "self_attn.q_proj", "layers.0.self_attn.q_proj"), or {"all-linear"}.
  std::vector<std::string> target_modules = {"q_proj", "v_proj"};
  // Ends of names of stacked experts ("mlp.experts.down_proj") that PEFT adapts as parameters. Only of
  // adapters that were read; the LoRAs of such experts are written as stacks again.
  std::vector<std::string> target_parameters = {};
};

struct Adapter {
  LoraOptions options;  // rank and alpha of layers without a pattern
  nn::LoraExpert lora;
  Tensor score_weight;  // [num_labels, D] float32; undefined when the adapter has none
  std::string base_model;
  WeightNames names;  // of the base, whose modules the files name
};

// A zero update: A uniform (Kaiming, as PEFT), B zero. Error for a target that matches no layer. `names`: of
// the base's family, here and below.
Adapter new_adapter(const nn::Decoder& decoder, const LoraOptions& options, uint64_t seed,
                    const WeightNames& names = {});

// Checks every name and shape against the decoder; a left-over tensor, a target without tensors, or an option
// that is not supported (DoRA, …) is an error that names it.
Adapter load_adapter(const std::filesystem::path& directory, const nn::Decoder& decoder,
                     const WeightNames& names = {});

// Writes both files into `directory`, which exists; PEFT loads them.
void save_adapter(const std::filesystem::path& directory, const Adapter& adapter);

}  // namespace dmoerm::models
