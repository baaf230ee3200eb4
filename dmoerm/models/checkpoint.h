// Hugging Face model directories: config.json, safetensors (single or sharded), written and read whole.
// D width, V vocabulary.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/core/json.h"
#include "dmoerm/models/weight_names.h"
#include "dmoerm/nn/decoder.h"

namespace dmoerm::models {

enum class HeadKind { None, Score, LanguageModel };

struct Checkpoint {
  std::string family;  // model_type: "llama", "qwen2"
  std::shared_ptr<nn::Decoder> decoder;
  HeadKind head = HeadKind::None;
  Tensor score_weight;              // [num_labels, D] float32 (Score)
  Tensor lm_weight;                 // [V, D] (LanguageModel; the embedding itself when tied)
  std::vector<std::string> labels;  // id2label in order (Score); empty when writing: LABEL_0 …
  std::optional<int64_t> bos_token_id, eos_token_id,
      pad_token_id;  // the first one where a file lists several
  Json config;       // config.json as read; null for a new model

  const WeightNames& names() const;  // of the family
};

struct LoadOptions {
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;  // of the decoder's weights
  // Bytes that the bases of a model with several may take on the device: where they take more, those that are
  // not in use wait in the host's memory. 0: on CUDA most of what is free, on the CPU no limit.
  int64_t base_memory = 0;
};

// The decoder's shape by a model directory's config.json, or by such a file.
nn::DecoderConfig read_decoder_config(const std::filesystem::path& path);

// Error, naming file and tensor, for a missing, left-over or misshapen tensor, an unknown family, a setting
// that is not supported, pickled .bin weights. A causal LM is a valid base.
Checkpoint load_checkpoint(const std::filesystem::path& directory, const LoadOptions& options = {});

// Writes config.json and model.safetensors, in the decoder's own type with heads in float32, into
// `directory`, which exists: as <Family>ForSequenceClassification (Score), <Family>ForCausalLM
// (LanguageModel, or None with tied embeddings), <Family>Model (None), such that transformers gives the same
// scores. Settings of `config` that the decoder does not know are kept.
void save_checkpoint(const std::filesystem::path& directory, const Checkpoint& checkpoint);

}  // namespace dmoerm::models
