// The decoder against one written in plain loops, in double, a sequence at a time.
#include "dmoerm/nn/decoder.h"

#include "dmoerm/core/error.h"
#include "tests/nn/tiny_decoder.h"

namespace dmoerm::nn {
namespace {

Tensor plain_norm(const Tensor& x, const Tensor& weight, double eps) {
  return x / (x.square().mean(-1, true) + eps).sqrt() * weight;
}

double plain_frequency(const RotaryConfig& rotary, int64_t pair, int64_t head_dim) {
  const double frequency = std::pow(rotary.theta, -2.0 * pair / head_dim);
  if (rotary.type == "linear") return frequency / rotary.factor;
  if (rotary.type == "default") return frequency;
  const double turns = rotary.original_max_position * frequency / (2 * M_PI);  // over the original length
  if (turns < rotary.low_freq_factor) return frequency / rotary.factor;
  if (turns > rotary.high_freq_factor) return frequency;
  const double smooth = (turns - rotary.low_freq_factor) / (rotary.high_freq_factor - rotary.low_freq_factor);
  return ((1 - smooth) / rotary.factor + smooth) * frequency;
}

// x [L, C], turned channel by channel.
Tensor plain_rotary(const Tensor& x, const RotaryConfig& rotary) {
  Tensor y = x.clone();
  auto from = x.accessor<double, 2>(), to = y.accessor<double, 2>();
  const int64_t half = x.size(1) / 2;
  for (int64_t t = 0; t < x.size(0); ++t)
    for (int64_t i = 0; i < half; ++i) {
      const double angle = t * plain_frequency(rotary, i, x.size(1));
      to[t][i] = from[t][i] * std::cos(angle) - from[t][i + half] * std::sin(angle);
      to[t][i + half] = from[t][i + half] * std::cos(angle) + from[t][i] * std::sin(angle);
    }
  return y;
}

double plain_activation(const std::string& name, double x) {
  if (name == "silu") return x / (1 + std::exp(-x));
  if (name == "relu") return std::max(0.0, x);
  if (name == "gelu") return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

// Hidden states [L, D] of one sequence, experts merged into the weights.
Tensor plain_hidden(const Decoder& decoder, const std::vector<int32_t>& tokens, const LoraExpert* expert) {
  const DecoderConfig& config = decoder.config();
  const auto weight = [&](const std::string& name) { return decoder.weights().at(name).to(torch::kFloat64); };
  const auto linear = [&](const std::string& name, const Tensor& x) {
    Tensor w = weight(name + ".weight");
    if (expert != nullptr && expert->pairs.count(name) > 0) {
      const ops::LoraPair& pair = expert->pairs.at(name);
      w = w + pair.scale * torch::mm(pair.b.to(torch::kFloat64), pair.a.to(torch::kFloat64));
    }
    Tensor y = torch::mm(x, w.t());
    return decoder.weights().count(name + ".bias") > 0 ? y + weight(name + ".bias") : y;
  };
  const auto length = static_cast<int64_t>(tokens.size());
  Tensor x = weight("embed_tokens.weight").index_select(0, torch::tensor(tokens).to(torch::kInt64));
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    const std::string prefix = fmt::format("layers.{}.", layer);
    const Tensor n = plain_norm(x, weight(prefix + "input_layernorm.weight"), config.norm_eps);
    const Tensor q = linear(prefix + "self_attn.q_proj", n), k = linear(prefix + "self_attn.k_proj", n),
                 v = linear(prefix + "self_attn.v_proj", n);
    std::vector<Tensor> heads;
    for (int64_t head = 0; head < config.num_heads; ++head) {
      const int64_t c = config.head_dim, kv = head / (config.num_heads / config.num_kv_heads);
      const Tensor qh = plain_rotary(q.narrow(1, head * c, c), config.rotary);
      const Tensor kh = plain_rotary(k.narrow(1, kv * c, c), config.rotary);
      Tensor scores = torch::mm(qh, kh.t()) / std::sqrt(static_cast<double>(c));
      auto score = scores.accessor<double, 2>();
      for (int64_t i = 0; i < length; ++i)
        for (int64_t j = 0; j < length; ++j)
          if (j > i || (config.window_of(layer) > 0 && i - j >= config.window_of(layer))) score[i][j] = -1e30;
      heads.push_back(torch::mm(scores.softmax(1), v.narrow(1, kv * c, c)));
    }
    x = x + linear(prefix + "self_attn.o_proj", torch::cat(heads, 1));
    const Tensor m = plain_norm(x, weight(prefix + "post_attention_layernorm.weight"), config.norm_eps);
    Tensor gate = linear(prefix + "mlp.gate_proj", m).contiguous();
    for (int64_t i = 0; i < gate.numel(); ++i)
      gate.data_ptr<double>()[i] = plain_activation(config.activation, gate.data_ptr<double>()[i]);
    x = x + linear(prefix + "mlp.down_proj", gate * linear(prefix + "mlp.up_proj", m));
  }
  return plain_norm(x, weight("norm.weight"), config.norm_eps);
}

std::vector<std::pair<std::string, DecoderConfig>> variants() {
  const DecoderConfig plain = tiny_config();
  DecoderConfig biases = plain, linear = plain, llama3 = plain, window = plain, some_windowed = plain;
  biases.qkv_bias = biases.o_bias = biases.mlp_bias = true;
  biases.num_kv_heads = 4;
  biases.activation = "gelu";
  linear.rotary = {"linear", 100, 4};
  linear.activation = "relu";
  llama3.rotary = {"llama3", 50, 4, 1, 4, 16};
  llama3.activation = "gelu_new";
  llama3.num_kv_heads = 1;
  window.sliding_window = 3;
  some_windowed.sliding_window = 5;
  some_windowed.windowed_layers = {false, true};
  some_windowed.num_layers = 2;
  return {{"plain", plain},
          {"biases, gelu", biases},
          {"linear rotary, relu", linear},
          {"llama3, gelu_new, one kv head", llama3},
          {"window", window},
          {"one windowed layer", some_windowed}};
}

TEST(Decoder, EqualsPlainReference) {
  torch::NoGradGuard no_grad;
  const auto tokens = random_tokens(14, 3);
  for (const auto& [name, config] : variants()) {
    const Decoder decoder = tiny_decoder(config, torch::kFloat64);
    // The rotary table is float32 as in transformers: that is the tolerance.
    expect_near(decoder.hidden(packed({tokens})), plain_hidden(decoder, tokens, nullptr), 2e-5, name);
    const ExpertSet experts = tiny_experts(config, torch::kFloat64);
    const Tensor z = decoder.last_hidden(packed({tokens}, 3), &experts);
    for (int64_t e = 0; e < 3; ++e)
      expect_near(z[e], plain_hidden(decoder, tokens, &experts.experts[e])[-1], 2e-5,
                  fmt::format("{}, expert {}", name, e));
  }
}

TEST(Decoder, LastHiddenIsHiddenOfLastTokens) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, config] : variants()) {
    const Decoder decoder = tiny_decoder(config);
    const ExpertSet experts = tiny_experts(config);
    for (const auto& [group, sequences] : awkward_groups()) {
      const Batch batch = packed(sequences, 3);
      const Tensor all = decoder.hidden(batch, &experts).index_select(0, batch.last_token_R);
      expect_near(decoder.last_hidden(batch, &experts), all, 1e-5, name + ", " + group);
    }
  }
}

TEST(Decoder, InitialWeightsAreAFunctionOfTheSeed) {
  const Decoder a(tiny_config(), 1), b(tiny_config(), 1), c(tiny_config(), 2);
  for (const auto& [name, weight] : a.weights())
    EXPECT_TRUE(torch::equal(weight, b.weights().at(name))) << name;
  const std::string name = "layers.1.mlp.up_proj.weight";
  EXPECT_FALSE(torch::equal(a.weights().at(name), c.weights().at(name)));
  EXPECT_NEAR(a.weights().at(name).std().item<double>(), 0.02, 0.002);
  EXPECT_TRUE(torch::equal(a.weights().at("norm.weight"), torch::ones({24})));
}

TEST(Decoder, CountsMatmulParameters) {
  // q 32x24, k and v 16x24, o 24x32, gate, up and down 36x24, two layers.
  EXPECT_EQ(tiny_config().num_matmul_parameters(), 2 * (32 * 24 + 2 * 16 * 24 + 24 * 32 + 3 * 36 * 24));
}

template <typename Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Decoder, RefusesTokensOutsideTheVocabulary) {
  const Decoder decoder = tiny_decoder(tiny_config());
  EXPECT_THAT(error_of([&] { decoder.hidden(packed({{1, 40}})); }), testing::HasSubstr("token id 40"));
  EXPECT_THAT(error_of([&] { packed({{1, -2}}); }), testing::HasSubstr("token id -2"));
  EXPECT_THAT(error_of([&] { to_device({}, torch::kCPU); }), testing::HasSubstr("no tokens"));
}

TEST(Decoder, RefusesShapesThatNoDecoderHas) {
  const auto error_with = [](auto change) {
    DecoderConfig config = tiny_config();
    change(config);
    return error_of([&] { Decoder(config, 1); });
  };
  using testing::HasSubstr;
  EXPECT_THAT(error_with([](auto& c) { c.num_kv_heads = 3; }),
              HasSubstr("4 attention heads are not a multiple of 3"));
  EXPECT_THAT(error_with([](auto& c) { c.head_dim = 7; }), HasSubstr("head_dim is 7"));
  EXPECT_THAT(error_with([](auto& c) { c.num_layers = 0; }), HasSubstr("number of layers is 0"));
  EXPECT_THAT(error_with([](auto& c) { c.hidden_size = -4; }), HasSubstr("hidden_size is -4"));
  EXPECT_THAT(error_with([](auto& c) { c.norm_eps = NAN; }), HasSubstr("norm epsilon is nan"));
  EXPECT_THAT(error_with([](auto& c) { c.activation = "tanhh"; }), HasSubstr("\"tanhh\" is not supported"));
  EXPECT_THAT(error_with([](auto& c) { c.rotary.type = "yarn"; }), HasSubstr("\"yarn\" is not supported"));
  EXPECT_THAT(error_with([](auto& c) { c.rotary.theta = 0; }), HasSubstr("theta is 0"));
  EXPECT_THAT(error_with([](auto& c) { c.windowed_layers = {true}; }), HasSubstr("given for 1 layers"));
}

}  // namespace
}  // namespace dmoerm::nn
