// `dmoerm pretrain BASE.toml`: next-token training of a base from text, for where none can be downloaded.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "dmoerm/core/config.h"
#include "dmoerm/data/documents.h"
#include "dmoerm/nn/decoder_config.h"
#include "dmoerm/train/double_layer_run.h"

namespace dmoerm::train {

struct PretrainConfig {
  std::filesystem::path out, tokenizer;
  std::string family = "llama", chat_format = "template";
  uint64_t seed = 1;
  nn::DecoderConfig model;  // vocab_size is the tokenizer's
  std::vector<data::DocumentSource> data;
  int64_t sequence_length = 512;  // tokens; longer texts are cut into pieces
  int64_t token_budget = 8192;
  double held_out = 0.01;                       // share of the texts, by prompt
  TrainOptions train;                           // batch: sequences a step
  std::map<std::string, std::string> settings;  // every key of the configuration: the run's identity
};

PretrainConfig load_pretrain_config(const std::filesystem::path& path,
                                    const std::vector<std::string>& overrides = {});
PretrainConfig parse_pretrain_config(Config config);

// Writes the base with its tokenizer to `config.out`/model, a Hugging Face causal LM.
void pretrain(const PretrainConfig& config, const RunOptions& options);

}  // namespace dmoerm::train
