#include "dmoerm/nn/decoder.h"

#include <algorithm>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/device_memory.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"
#include "dmoerm/nn/attention.h"
#include "dmoerm/nn/feed_forward.h"
#include "dmoerm/nn/joined_weights.h"
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
  if (device().is_cuda()) join_weights(config_, weights_);
  frequencies_ = rotary_frequencies(config_.rotary, config_.rotated_channels());
  device_frequencies_ = copy_to_device(frequencies_, device());
}

Residual Decoder::block(const ForwardPass& pass, int64_t layer, const Residual& input,
                        const Rows& rows) const {
  const std::string prefix = fmt::format("layers.{}.", layer);
  const auto mlp = [&](const Tensor& normed_QD) {
    return config_.is_sparse(layer) ? moe_layer(pass, layer, normed_QD, rows)
                                    : feed_forward(pass, prefix + "mlp.", normed_QD, rows);
  };
  const ops::NormedSum before = pass.norm_of_sum(prefix + "input_layernorm", input);
  const Tensor attended_QD = attention(pass, layer, before.normed_TD, rows),
               x_QD = rows.select(before.sum_TD);
  if (config_.parallel_residual)
    return {x_QD + attended_QD, mlp(pass.norm(prefix + "post_attention_layernorm", x_QD))};
  const ops::NormedSum after = pass.norm_of_sum(prefix + "post_attention_layernorm", {x_QD, attended_QD});
  return {after.sum_TD, mlp(after.normed_TD)};
}

// Of the layers before the last, as few as bring what the others keep under the budget.
int64_t Decoder::layers_to_recompute(const ForwardPass& pass, int64_t num_rows) const {
  if (!torch::GradMode::is_enabled() || config_.num_layers < 2) return 0;
  int64_t budget = activation_budget_;
  if (budget == 0) {
    if (!device().is_cuda()) return 0;
    budget = free_device_memory(device()) * 4 / 5;
    for (const auto& [name, weight] : weights_)
      if (weight.requires_grad() && !weight.grad().defined()) budget -= static_cast<int64_t>(weight.nbytes());
  }
  int64_t of_row = config_.values_kept_of_a_row();
  const int64_t last = config_.num_layers - 1;
  // Under dropout what the pairs on a layer's experts multiply is kept beside what the experts do.
  if (pass.dropout() > 0 && config_.is_sparse(last) && has_expert_pairs(pass, last))
    of_row += config_.moe->router.top_k * (config_.hidden_size + config_.moe->intermediate_size);
  const int64_t kept = num_rows * of_row * static_cast<int64_t>(weights_.begin()->second.element_size());
  const int64_t affordable = std::max<int64_t>(0, budget / std::max<int64_t>(1, kept));
  return std::clamp<int64_t>(config_.num_layers - affordable, 0, config_.num_layers - 1);
}

Tensor Decoder::run(std::shared_ptr<const ForwardPass> pass, const Batch& batch, const Rows& rows) const {
  if (batch.largest_token >= config_.vocab_size)
    fail("decoder", "found token id {}, expected one of a vocabulary of {}", batch.largest_token,
         config_.vocab_size);
  Residual residual = {torch::embedding(pass->weight("embed_tokens.weight"), batch.tokens_T), Tensor()};
  // A trace keeps the graph of what it records, so its layers are not computed twice.
  const int64_t num_recomputed =
      pass->routing().trace ? 0 : layers_to_recompute(*pass, batch.tokens_T.size(0));
  for (int64_t layer = 0; layer + 1 < config_.num_layers; ++layer) {
    const auto part = [this, pass, layer](const Residual& input) {
      return block(*pass, layer, input, pass->all_rows());
    };
    // The first layer's input has no delta and, over a frozen base, no gradient: it is kept.
    const bool again = layer > 0 && layer <= num_recomputed && residual.x_TD.requires_grad();
    residual = again ? recompute(part, residual) : part(residual);
  }
  return pass->norm_of_sum("norm", block(*pass, config_.num_layers - 1, residual, rows)).normed_TD;
}

Tensor Decoder::hidden(const Batch& batch, const ExpertSet* experts, const RoutingOptions& routing) const {
  const auto pass =
      std::make_shared<const ForwardPass>(config_, weights_, device_frequencies_, batch, experts, routing);
  return run(pass, batch, pass->all_rows());
}

Tensor Decoder::last_hidden(const Batch& batch, const ExpertSet* experts,
                            const RoutingOptions& routing) const {
  const auto pass =
      std::make_shared<const ForwardPass>(config_, weights_, device_frequencies_, batch, experts, routing);
  const Rows rows = pass->last_rows();
  const Tensor state_QD = run(pass, batch, rows);
  return state_QD.index_select(0, torch::searchsorted(rows.index_Q, batch.last_token_R));
}

std::vector<std::pair<std::string, std::pair<int64_t, int64_t>>> Decoder::linear_layers() const {
  std::vector<std::pair<std::string, std::pair<int64_t, int64_t>>> result;
  for (const LinearShape& linear : config_.linear_layers())
    result.push_back({linear.name, {linear.out, linear.in}});
  return result;
}

void Decoder::replace_weights(NamedTensors weights) {
  for (const auto& [name, weight] : weights_) DMOERM_ASSERT(weights.at(name).sizes() == weight.sizes());
  weights_ = std::move(weights);
  if (device_frequencies_.device() != device()) device_frequencies_ = copy_to_device(frequencies_, device());
}

void Decoder::set_requires_grad(bool value) {
  for (auto& [name, weight] : weights_)
    if (!name.ends_with(kCorrectionBias)) weight.set_requires_grad(value);
}

torch::Device Decoder::device() const {
  return weights_.begin()->second.device();
}

}  // namespace dmoerm::nn
