// A decoder-only transformer over packed rows, with any number of LoRA experts over one base.
// T rows, D width, H heads, K experts, R sequences.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "dmoerm/core/safetensors.h"
#include "dmoerm/data/packing.h"
#include "dmoerm/nn/decoder_config.h"
#include "dmoerm/ops/expert_linear.h"

namespace dmoerm::nn {

// A packed batch on the device.
struct Batch {
  Tensor tokens_T, positions_T;  // int64
  Tensor last_token_R;           // int64
  std::shared_ptr<const data::SegmentTable> segments;
  std::vector<int64_t> last_token;
  std::vector<int64_t> expert_offsets;
  std::vector<uint64_t> row_keys;
};
Batch to_device(const data::PackedBatch& batch, torch::Device device);

// The low-rank updates of one expert, by layer name ("layers.0.self_attn.q_proj"). Trainable tensors are leaves.
struct LoraExpert {
  std::map<std::string, ops::LoraPair> pairs;
  double dropout = 0;  // only while training
};

// All experts that run together over one base.
struct ExpertSet {
  std::vector<LoraExpert> experts;
  // Dropout is active only while training; its masks are a function of this seed, the expert's own number in
  // `dropout_keys` (so that an expert trained alone draws the same), the layer and the row keys.
  bool training = false;
  uint64_t dropout_seed = 0;
  std::vector<uint64_t> dropout_keys;
};

class Decoder {
 public:
  // Weights of normal(0, 0.02) from `seed` (norms 1, biases 0); loading replaces them.
  Decoder(DecoderConfig config, uint64_t seed, torch::TensorOptions options = {});

  const DecoderConfig& config() const { return config_; }

  // Hidden states after the final norm. hidden(): of every row [T, D]; last_hidden(): of each sequence's last
  // token [R, D], for which the last layer computes nothing else.
  Tensor hidden(const Batch& batch, const ExpertSet* experts = nullptr) const;
  Tensor last_hidden(const Batch& batch, const ExpertSet* experts = nullptr) const;

  // Weights by canonical name: "embed_tokens.weight", "layers.N.self_attn.q_proj.weight", "layers.N.mlp.up_proj.bias",
  // "layers.N.input_layernorm.weight", "norm.weight", … Assigning to a tensor in place changes the model.
  NamedTensors& weights() { return weights_; }
  const NamedTensors& weights() const { return weights_; }
  // Linear layers that may carry a LoRA, with [out, in]: "layers.0.self_attn.q_proj" …
  std::vector<std::pair<std::string, std::pair<int64_t, int64_t>>> linear_layers() const;
  void set_requires_grad(bool value);
  torch::Device device() const;

 private:
  DecoderConfig config_;
  NamedTensors weights_;
};

}  // namespace dmoerm::nn
