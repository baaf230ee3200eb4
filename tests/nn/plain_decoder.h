// A dense decoder written a second time in plain loops and in double, a sequence at a time. L tokens, C
// channels.
#pragma once

#include "tests/nn/tiny_decoder.h"

namespace dmoerm::nn {

inline double plain_yarn_frequency(const RotaryConfig& rotary, int64_t pair, int64_t channels,
                                   double frequency) {
  const auto pair_of = [&](double turns) {  // the pair that turns so often over the original length
    return channels * std::log(rotary.original_max_position / (2 * M_PI * turns)) /
           (2 * std::log(rotary.theta));
  };
  double low = pair_of(rotary.beta_fast), high = pair_of(rotary.beta_slow);
  if (rotary.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, channels - 1.0);
  const double ramp = std::clamp((pair - low) / (high - low), 0.0, 1.0);
  return frequency * (1 - ramp) + frequency / rotary.factor * ramp;
}

inline double plain_frequency(const RotaryConfig& rotary, int64_t pair, int64_t channels, int64_t length) {
  double theta = rotary.theta;
  if (rotary.type == "dynamic" && length > rotary.original_max_position)
    theta *= std::pow(rotary.factor * length / rotary.original_max_position - (rotary.factor - 1),
                      channels / (channels - 2.0));
  const double frequency = std::pow(theta, -2.0 * pair / channels);
  if (rotary.type == "linear") return frequency / rotary.factor;
  if (rotary.type == "yarn") return plain_yarn_frequency(rotary, pair, channels, frequency);
  if (rotary.type != "llama3") return frequency;
  const double turns = rotary.original_max_position * frequency / (2 * M_PI);  // over the original length
  if (turns < rotary.low_freq_factor) return frequency / rotary.factor;
  if (turns > rotary.high_freq_factor) return frequency;
  const double smooth = (turns - rotary.low_freq_factor) / (rotary.high_freq_factor - rotary.low_freq_factor);
  return ((1 - smooth) / rotary.factor + smooth) * frequency;
}

inline double plain_mscale(double factor, double mscale) {
  return factor > 1 ? 1 + 0.1 * mscale * std::log(factor) : 1;
}

inline double plain_attention_factor(const RotaryConfig& rotary) {
  if (rotary.type != "yarn") return 1;
  if (rotary.attention_factor != 0) return rotary.attention_factor;
  if (rotary.mscale == 0 || rotary.mscale_all_dim == 0) return plain_mscale(rotary.factor, 1);
  return plain_mscale(rotary.factor, rotary.mscale) / plain_mscale(rotary.factor, rotary.mscale_all_dim);
}

// x [L, C]: its first `channels` turned, pair by pair; a pair is (i, i + channels / 2), or (2i, 2i + 1).
inline Tensor plain_rotary(const Tensor& x, const RotaryConfig& rotary, int64_t channels, bool neighbours) {
  Tensor y = x.clone();
  auto from = x.accessor<double, 2>(), to = y.accessor<double, 2>();
  const double size = plain_attention_factor(rotary);
  for (int64_t t = 0; t < x.size(0); ++t)
    for (int64_t i = 0; i < channels / 2; ++i) {
      const int64_t a = neighbours ? 2 * i : i, b = neighbours ? 2 * i + 1 : i + channels / 2;
      const double angle = t * plain_frequency(rotary, i, channels, x.size(0));
      to[t][a] = size * (from[t][a] * std::cos(angle) - from[t][b] * std::sin(angle));
      to[t][b] = size * (from[t][b] * std::cos(angle) + from[t][a] * std::sin(angle));
    }
  return y;
}

inline double plain_activation(const std::string& name, double x) {
  if (name == "silu") return x / (1 + std::exp(-x));
  if (name == "relu") return std::max(0.0, x);
  if (name == "gelu") return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  if (name == "quick_gelu") return x / (1 + std::exp(-1.702 * x));
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

class PlainDecoder {
 public:
  // The expert, when there is one, is merged into the weights.
  PlainDecoder(const Decoder& decoder, const LoraExpert* expert)
      : config_(decoder.config()), weights_(decoder.weights()), expert_(expert) {}

  // Hidden states [L, D] of one sequence.
  Tensor hidden(const std::vector<int32_t>& tokens) const {
    Tensor x = weight("embed_tokens.weight").index_select(0, torch::tensor(tokens).to(torch::kInt64));
    for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
      const std::string prefix = fmt::format("layers.{}.", layer);
      const Tensor attended = attention(layer, norm(prefix + "input_layernorm", x, config_.norm_eps));
      const Tensor h = x + attended;
      const Tensor& input = config_.parallel_residual ? x : h;
      x = h +
          feed_forward(prefix + "mlp.", norm(prefix + "post_attention_layernorm", input, config_.norm_eps));
    }
    return norm("norm", x, config_.norm_eps);
  }

 private:
  struct Head {
    Tensor q, k, v;
  };

  Tensor weight(const std::string& name) const { return weights_.at(name).to(torch::kFloat64); }

  Tensor linear(const std::string& name, const Tensor& x) const {
    Tensor w = weight(name + ".weight");
    if (expert_ != nullptr && expert_->pairs.count(name) > 0) {
      const ops::LoraPair& pair = expert_->pairs.at(name);
      w = w + pair.scale * torch::mm(pair.b.to(torch::kFloat64), pair.a.to(torch::kFloat64));
    }
    const Tensor y = torch::mm(x, w.t());
    return weights_.count(name + ".bias") > 0 ? y + weight(name + ".bias") : y;
  }

  Tensor norm(const std::string& name, const Tensor& x, double eps) const {
    const bool layer = config_.norm == NormKind::Layer;
    const Tensor centred = layer ? x - x.mean(-1, true) : x;
    const Tensor y = centred / (centred.square().mean(-1, true) + eps).sqrt() * weight(name + ".weight");
    return layer ? y + weight(name + ".bias") : y;
  }

  Tensor turned(const Tensor& x) const {
    return plain_rotary(x, config_.rotary, config_.rotary_dim > 0 ? config_.rotary_dim : config_.head_dim,
                        false);
  }

  Head latent_head(const std::string& prefix, const Tensor& x, int64_t head) const {
    const LatentAttention& latent = *config_.latent;
    const int64_t P = latent.plain_dim, R = latent.rotary_dim, V = latent.value_dim;
    const auto rotate = [&](const Tensor& y) {
      return plain_rotary(y, config_.rotary, R, latent.interleaved);
    };
    const Tensor queries = latent.query_rank == 0
                               ? linear(prefix + "q_proj", x)
                               : linear(prefix + "q_b_proj",
                                        norm(prefix + "q_a_layernorm", linear(prefix + "q_a_proj", x), 1e-6));
    const Tensor q = queries.narrow(1, head * (P + R), P + R).contiguous();
    const Tensor compressed = linear(prefix + "kv_a_proj_with_mqa", x);
    const Tensor state =
        norm(prefix + "kv_a_layernorm", compressed.narrow(1, 0, latent.key_value_rank), 1e-6);
    const Tensor expanded = linear(prefix + "kv_b_proj", state).narrow(1, head * (P + V), P + V);
    return {torch::cat({q.narrow(1, 0, P), rotate(q.narrow(1, P, R))}, 1),
            torch::cat({expanded.narrow(1, 0, P), rotate(compressed.narrow(1, latent.key_value_rank, R))}, 1),
            expanded.narrow(1, P, V)};
  }

  Head head_of(const std::string& prefix, const Tensor& x, int64_t head) const {
    const int64_t C = config_.head_dim, kv = head / (config_.num_heads / config_.num_kv_heads);
    if (config_.latent) return latent_head(prefix, x, head);
    if (config_.fused_qkv) {
      const Tensor all = linear(prefix + "qkv_proj", x).narrow(1, 3 * head * C, 3 * C);
      return {turned(all.narrow(1, 0, C)), turned(all.narrow(1, C, C)), all.narrow(1, 2 * C, C)};
    }
    Tensor q = linear(prefix + "q_proj", x), k = linear(prefix + "k_proj", x);
    if (config_.query_key_norm == QueryKeyNorm::All) {
      q = norm(prefix + "q_norm", q, config_.norm_eps);
      k = norm(prefix + "k_norm", k, config_.norm_eps);
    }
    q = q.narrow(1, head * C, C), k = k.narrow(1, kv * C, C);
    if (config_.query_key_norm == QueryKeyNorm::Head) {
      q = norm(prefix + "q_norm", q, config_.norm_eps);
      k = norm(prefix + "k_norm", k, config_.norm_eps);
    }
    return {turned(q), turned(k), linear(prefix + "v_proj", x).narrow(1, kv * C, C)};
  }

  Tensor attention(int64_t layer, const Tensor& x) const {
    const std::string prefix = fmt::format("layers.{}.self_attn.", layer);
    double scale = 1 / std::sqrt(static_cast<double>(config_.head_dim));
    if (config_.latent && config_.rotary.mscale_all_dim != 0)
      scale *= std::pow(plain_mscale(config_.rotary.factor, config_.rotary.mscale_all_dim), 2);
    std::vector<Tensor> outputs;
    for (int64_t h = 0; h < config_.num_heads; ++h) {
      const Head head = head_of(prefix, x, h);
      Tensor scores = torch::mm(head.q, head.k.t()) * scale;
      auto score = scores.accessor<double, 2>();
      const int64_t window = config_.window_of(layer);
      for (int64_t i = 0; i < x.size(0); ++i)
        for (int64_t j = 0; j < x.size(0); ++j)
          if (j > i || (window > 0 && i - j >= window)) score[i][j] = -1e30;
      outputs.push_back(torch::mm(scores.softmax(1), head.v));
    }
    return linear(prefix + "o_proj", torch::cat(outputs, 1));
  }

  Tensor feed_forward(const std::string& prefix, const Tensor& x) const {
    const Tensor up = linear(prefix + "up_proj", x);
    Tensor inner = (config_.gated_mlp ? linear(prefix + "gate_proj", x) : up).clone().contiguous();
    for (int64_t i = 0; i < inner.numel(); ++i)
      inner.data_ptr<double>()[i] = plain_activation(config_.activation, inner.data_ptr<double>()[i]);
    return linear(prefix + "down_proj", config_.gated_mlp ? inner * up : inner);
  }

  const DecoderConfig& config_;
  const NamedTensors& weights_;
  const LoraExpert* expert_;
};

inline Tensor plain_hidden(const Decoder& decoder, const std::vector<int32_t>& tokens,
                           const LoraExpert* expert) {
  return PlainDecoder(decoder, expert).hidden(tokens);
}

}  // namespace dmoerm::nn
