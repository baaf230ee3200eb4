// A decoder-only transformer over packed rows, with any number of LoRA experts over one base.
// T rows, D width, R sequences.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dmoerm/core/safetensors.h"
#include "dmoerm/nn/batch.h"
#include "dmoerm/nn/decoder_config.h"
#include "dmoerm/nn/expert_set.h"
#include "dmoerm/nn/recompute.h"
#include "dmoerm/nn/routing_trace.h"

namespace dmoerm::nn {

class ForwardPass;
struct Rows;

class Decoder {
 public:
  // Weights of normal(0, 0.02) from `seed` (norms 1, biases 0). Error when no decoder has this shape.
  Decoder(DecoderConfig config, uint64_t seed, torch::TensorOptions options = {});
  // Takes weights that were read: exactly the names and shapes of weight_shapes(config).
  Decoder(DecoderConfig config, NamedTensors weights);

  const DecoderConfig& config() const { return config_; }

  // Hidden states after the final norm. hidden(): of every row [T, D]; last_hidden(): of each sequence's last
  // token [R, D], for which the last layer computes nothing else. Without experts every row is the base's.
  // Error for a token outside the vocabulary. `routing` records or changes what sparse layers do.
  Tensor hidden(const Batch& batch, const ExpertSet* experts = nullptr,
                const RoutingOptions& routing = {}) const;
  Tensor last_hidden(const Batch& batch, const ExpertSet* experts = nullptr,
                     const RoutingOptions& routing = {}) const;

  // Weights by canonical name: "embed_tokens.weight", "layers.N.self_attn.q_proj.weight",
  // "layers.N.mlp.up_proj.bias", "layers.N.input_layernorm.weight", "norm.weight", …; of a sparse layer
  // "layers.N.mlp.gate.weight" [E, D], "layers.N.mlp.experts.gate_up_proj" [E, 2F, D] (gate first) and
  // "….down_proj" [E, D, F]. Assigning to a tensor in place changes the model.
  NamedTensors& weights() { return weights_; }
  const NamedTensors& weights() const { return weights_; }
  // Others of the same names and shapes, on any device, in their place.
  void replace_weights(NamedTensors weights);
  // Linear layers that may carry a LoRA, with [out, in]: "layers.0.self_attn.q_proj" …
  std::vector<std::pair<std::string, std::pair<int64_t, int64_t>>> linear_layers() const;
  // Bytes that a forward pass may keep for its backward pass; what is above is computed again (recompute.h),
  // layer by layer. 0, the default: what is free on the device (on the CPU no limit).
  void set_activation_budget(int64_t bytes) { activation_budget_ = bytes; }
  void set_requires_grad(bool value);  // but for correction biases of routers, which no gradient trains
  torch::Device device() const;

 private:
  Residual block(const ForwardPass& pass, int64_t layer, const Residual& input, const Rows& rows) const;
  // Final states of `rows`.
  Tensor run(std::shared_ptr<const ForwardPass> pass, const Batch& batch, const Rows& rows) const;
  int64_t layers_to_recompute(const ForwardPass& pass, int64_t num_rows) const;

  DecoderConfig config_;
  NamedTensors weights_;
  int64_t activation_budget_ = 0;
  Tensor frequencies_;  // rotary, [rotated channels / 2] float32, on the host
  Tensor device_frequencies_;
};

// Every weight of such a decoder by canonical name.
std::map<std::string, std::vector<int64_t>> weight_shapes(const DecoderConfig& config);

}  // namespace dmoerm::nn
