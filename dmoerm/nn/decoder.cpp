#include "dmoerm/nn/decoder.h"

#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"
#include "dmoerm/nn/attention.h"
#include "dmoerm/nn/feed_forward.h"
#include "dmoerm/nn/moe_layer.h"
#include "dmoerm/nn/rotary_frequencies.h"

namespace dmoerm::nn {
namespace {

Tensor initial_weight(const std::string& name, const std::vector<int64_t>& shape, uint64_t seed) {
  if (name.ends_with("bias")) return torch::zeros(shape, torch::kFloat32);
  if (shape.size() == 1) return torch::ones(shape, torch::kFloat32);  // norms
  Tensor weight = torch::empty(shape, torch::kFloat32);
  RandomStream stream(seed, name);
  float* values = weight.data_ptr<float>();
  for (int64_t i = 0; i < weight.numel(); ++i) values[i] = static_cast<float>(0.02 * stream.normal());
  return weight;
}

NamedTensors initial_weights(const DecoderConfig& config, uint64_t seed,
                             const torch::TensorOptions& options) {
  config.validate("decoder");
  NamedTensors weights;
  for (const auto& [name, shape] : weight_shapes(config))
    weights.emplace(name, initial_weight(name, shape, seed).to(options));
  return weights;
}

// The norms of one layer with their widths.
std::vector<std::pair<std::string, int64_t>> layer_norms(const DecoderConfig& config) {
  std::vector<std::pair<std::string, int64_t>> norms = {{"input_layernorm", config.hidden_size},
                                                        {"post_attention_layernorm", config.hidden_size}};
  if (config.query_key_norm != QueryKeyNorm::None) {
    const bool all = config.query_key_norm == QueryKeyNorm::All;
    norms.emplace_back("self_attn.q_norm", config.head_dim * (all ? config.num_heads : 1));
    norms.emplace_back("self_attn.k_norm", config.head_dim * (all ? config.num_kv_heads : 1));
  }
  if (config.latent) {
    norms.emplace_back("self_attn.kv_a_layernorm", config.latent->key_value_rank);
    if (config.latent->query_rank > 0)
      norms.emplace_back("self_attn.q_a_layernorm", config.latent->query_rank);
  }
  return norms;
}

// Router and stacked experts of a sparse layer.
void add_moe_shapes(const DecoderConfig& config, int64_t layer,
                    std::map<std::string, std::vector<int64_t>>& shapes) {
  const MoeConfig& moe = *config.moe;
  const int64_t E = moe.router.num_experts, D = config.hidden_size, F = moe.intermediate_size;
  const std::string prefix = fmt::format("layers.{}.mlp.", layer);
  shapes[prefix + "gate.weight"] = {E, D};
  if (moe.router.correction_bias) shapes[prefix + kCorrectionBias] = {E};
  shapes[prefix + "experts.gate_up_proj"] = {E, 2 * F, D};
  shapes[prefix + "experts.down_proj"] = {E, D, F};
}

}  // namespace

std::map<std::string, std::vector<int64_t>> weight_shapes(const DecoderConfig& config) {
  std::map<std::string, std::vector<int64_t>> shapes;
  shapes["embed_tokens.weight"] = {config.vocab_size, config.hidden_size};
  const auto add_norm = [&](const std::string& name, int64_t size) {
    shapes[name + ".weight"] = {size};
    if (config.norm == NormKind::Layer) shapes[name + ".bias"] = {size};
  };
  add_norm("norm", config.hidden_size);
  for (int64_t layer = 0; layer < config.num_layers; ++layer)
    for (const auto& [name, size] : layer_norms(config))
      add_norm(fmt::format("layers.{}.{}", layer, name), size);
  for (int64_t layer = 0; layer < config.num_layers; ++layer)
    if (config.is_sparse(layer)) add_moe_shapes(config, layer, shapes);
  for (const LinearShape& linear : config.linear_layers()) {
    if (linear.stacked) continue;
    shapes[linear.name + ".weight"] = {linear.out, linear.in};
    if (linear.bias) shapes[linear.name + ".bias"] = {linear.out};
  }
  return shapes;
}

Decoder::Decoder(DecoderConfig config, uint64_t seed, torch::TensorOptions options)
    : Decoder(config, initial_weights(config, seed, options)) {}

Decoder::Decoder(DecoderConfig config, NamedTensors weights)
    : config_(std::move(config)), weights_(std::move(weights)) {
  config_.validate("decoder");
  const auto shapes = weight_shapes(config_);
  DMOERM_ASSERT(shapes.size() == weights_.size());
  for (const auto& [name, shape] : shapes)
    DMOERM_ASSERT(weights_.at(name).sizes() == torch::IntArrayRef(shape));
  frequencies_ = rotary_frequencies(config_.rotary, config_.rotated_channels());
}

Tensor Decoder::block(const ForwardPass& pass, int64_t layer, const Tensor& x_TD, const Rows& rows) const {
  const std::string prefix = fmt::format("layers.{}.", layer);
  const Tensor attended = attention(pass, layer, pass.norm(prefix + "input_layernorm", x_TD), rows);
  const Tensor x_QD = rows.select(x_TD), h_QD = x_QD + attended;
  const Tensor& mlp_input = config_.parallel_residual ? x_QD : h_QD;
  const Tensor normed_QD = pass.norm(prefix + "post_attention_layernorm", mlp_input);
  return h_QD + (config_.is_sparse(layer) ? moe_layer(pass, layer, normed_QD, rows)
                                          : feed_forward(pass, prefix + "mlp.", normed_QD, rows));
}

Tensor Decoder::run(const ForwardPass& pass, const Batch& batch, const Rows& rows) const {
  if (batch.largest_token >= config_.vocab_size)
    fail("decoder", "found token id {}, expected one of a vocabulary of {}", batch.largest_token,
         config_.vocab_size);
  Tensor x_TD = torch::embedding(pass.weight("embed_tokens.weight"), batch.tokens_T);
  for (int64_t layer = 0; layer + 1 < config_.num_layers; ++layer)
    x_TD = block(pass, layer, x_TD, pass.all_rows());
  return pass.norm("norm", block(pass, config_.num_layers - 1, x_TD, rows));
}

Tensor Decoder::hidden(const Batch& batch, const ExpertSet* experts, const RoutingOptions& routing) const {
  const ForwardPass pass(config_, weights_, frequencies_, batch, experts, routing);
  return run(pass, batch, pass.all_rows());
}

Tensor Decoder::last_hidden(const Batch& batch, const ExpertSet* experts,
                            const RoutingOptions& routing) const {
  const ForwardPass pass(config_, weights_, frequencies_, batch, experts, routing);
  const Rows rows = pass.last_rows();
  const Tensor state_QD = run(pass, batch, rows);
  return state_QD.index_select(0, torch::searchsorted(rows.index_Q, batch.last_token_R));
}

std::vector<std::pair<std::string, std::pair<int64_t, int64_t>>> Decoder::linear_layers() const {
  std::vector<std::pair<std::string, std::pair<int64_t, int64_t>>> result;
  for (const LinearShape& linear : config_.linear_layers())
    result.push_back({linear.name, {linear.out, linear.in}});
  return result;
}

void Decoder::set_requires_grad(bool value) {
  for (auto& [name, weight] : weights_)
    if (!name.ends_with(kCorrectionBias)) weight.set_requires_grad(value);
}

torch::Device Decoder::device() const {
  return weights_.begin()->second.device();
}

}  // namespace dmoerm::nn
