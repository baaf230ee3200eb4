// MoE layers against plain loops over rows and experts, LoRA experts on them, traces and training options.
#include "dmoerm/nn/moe_layer.h"

#include "dmoerm/nn/rotary_frequencies.h"
#include "dmoerm/nn/routing_trace.h"
#include "tests/nn/tiny_moe.h"

namespace dmoerm::nn {
namespace {

// One row through expert (or shared expert) layers given as merged matrices.
Tensor plain_mlp(const Tensor& x_D, const Tensor& gate, const Tensor& up, const Tensor& down) {
  return torch::mv(down, torch::silu(torch::mv(gate, x_D)) * torch::mv(up, x_D));
}

// A matrix of `layer` with the expert's update merged in.
Tensor merged(const Tensor& weight, const LoraExpert* lora, const std::string& layer) {
  if (lora == nullptr || lora->pairs.count(layer) == 0) return weight;
  const ops::LoraPair& pair = lora->pairs.at(layer);
  return weight + pair.scale * torch::mm(pair.b, pair.a);
}

// Row x_D through layer 1, given its routing.
Tensor plain_row(const Decoder& decoder, const Tensor& x_D, const Tensor& expert_k, const Tensor& weight_k,
                 const LoraExpert* lora) {
  const std::string prefix = "layers.1.mlp.";
  const int64_t F = decoder.config().moe->intermediate_size;
  const auto weight = [&](const std::string& name) { return decoder.weights().at(prefix + name); };
  Tensor y_D = torch::zeros_like(x_D);
  for (int64_t k = 0; k < expert_k.size(0); ++k) {
    const auto e = expert_k[k].item<int64_t>();
    const std::string name = fmt::format("{}experts.{}.", prefix, e);
    const Tensor gate_up = merged(weight("experts.gate_up_proj")[e], lora, name + "gate_up_proj");
    y_D = y_D + weight_k[k] * plain_mlp(x_D, merged(gate_up.narrow(0, 0, F), lora, name + "gate_proj"),
                                        merged(gate_up.narrow(0, F, F), lora, name + "up_proj"),
                                        merged(weight("experts.down_proj")[e], lora, name + "down_proj"));
  }
  if (decoder.config().moe->shared_intermediate_size == 0) return y_D;
  const auto shared = [&](const std::string& name) {
    return merged(weight("shared_expert." + name + ".weight"), lora, prefix + "shared_expert." + name);
  };
  const Tensor s_D = plain_mlp(x_D, shared("gate_proj"), shared("up_proj"), shared("down_proj"));
  if (!decoder.config().moe->shared_expert_gate) return y_D + s_D;
  return y_D + s_D * torch::mv(weight("shared_expert_gate.weight"), x_D).sigmoid();
}

TEST(MoeLayer, EqualsPlainLoopsWithLoraExperts) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, config] : tiny_moe_configs()) {
    const Decoder decoder = tiny_decoder(config, torch::kFloat64);
    const ExpertSet set = tiny_moe_experts(config, torch::kFloat64);
    const Batch batch = packed({random_tokens(9, 1)}, 3);
    RoutingTrace trace;
    const ForwardPass pass(config, decoder.weights(), rotary_frequencies(config.rotary, config.head_dim),
                           batch, &set, {&trace});
    const Tensor x_TD = random_tensor("states", {27, config.hidden_size}, 1, torch::kFloat64);
    for (const Rows& rows : {pass.all_rows(), pass.last_rows()}) {
      const Tensor x_QD = rows.select(x_TD), y_QD = moe_layer(pass, 1, x_QD, rows);
      const Routing& routing = trace.layers.back().routing;
      for (int64_t q = 0; q < x_QD.size(0); ++q) {
        const int64_t row = rows.index.empty() ? q : rows.index[q];
        const Tensor expected =
            plain_row(decoder, x_QD[q], routing.expert_Tk[q], routing.weight_Tk[q], &set.experts[row / 9]);
        expect_near(y_QD[q], expected, 1e-12, fmt::format("{} row {}", name, row));
      }
    }
  }
}

TEST(MoeLayer, FusedPairEqualsItsHalves) {
  torch::NoGradGuard no_grad;
  const DecoderConfig config = tiny_moe_configs()[0].second;
  const Decoder decoder = tiny_decoder(config, torch::kFloat64);
  const int64_t F = config.moe->intermediate_size;
  ExpertSet fused, modules;
  fused.experts.resize(1);
  modules.experts.resize(1);
  for (int64_t e = 0; e < 4; ++e) {
    const std::string name = fmt::format("layers.0.mlp.experts.{}.", e);
    const Tensor a = random_tensor(name + "a", {3, config.hidden_size}, 0.3, torch::kFloat64);
    const Tensor b = random_tensor(name + "b", {2 * F, 3}, 0.3, torch::kFloat64);
    fused.experts[0].pairs[name + "gate_up_proj"] = {a, b, 2};
    modules.experts[0].pairs[name + "gate_proj"] = {a, b.narrow(0, 0, F), 2};
    modules.experts[0].pairs[name + "up_proj"] = {a, b.narrow(0, F, F), 2};
  }
  const Batch batch = packed({random_tokens(12, 2)}, 1);
  const Tensor expected = decoder.hidden(batch, &modules);
  expect_near(decoder.hidden(batch, &fused), expected, 1e-12, "fused");
  EXPECT_GT((expected - decoder.hidden(packed({random_tokens(12, 2)}))).abs().max().item<double>(), 0.01);
}

TEST(MoeLayer, LastHiddenIsHiddenOfLastTokens) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, config] : tiny_moe_configs()) {
    const Decoder decoder = tiny_decoder(config);
    const ExpertSet set = tiny_moe_experts(config);
    for (const auto& [group, sequences] : awkward_groups()) {
      const Batch batch = packed(sequences, 3);
      const Tensor all = decoder.hidden(batch, &set).index_select(0, batch.last_token_R);
      expect_near(decoder.last_hidden(batch, &set), all, 1e-5, name + ", " + group);
    }
  }
}

TEST(RoutingTrace, RecordsSparseLayersAndTheirRows) {
  torch::NoGradGuard no_grad;
  const DecoderConfig config = tiny_moe_configs()[2].second;
  const Decoder decoder = tiny_decoder(config);
  const Batch batch = packed(awkward_groups()[1].second);
  RoutingTrace trace;
  decoder.hidden(batch, nullptr, {&trace});
  ASSERT_EQ(trace.layers.size(), 1u);
  EXPECT_EQ(trace.layers[0].layer, 1);
  EXPECT_TRUE(trace.layers[0].rows.empty());
  EXPECT_EQ(trace.layers[0].routing.expert_Tk.sizes(), torch::IntArrayRef({batch.tokens_T.size(0), 3}));
  EXPECT_FALSE(trace.layers[0].slot_Tk.lt(0).any().item<bool>());
  trace.layers.clear();
  decoder.last_hidden(batch, nullptr, {&trace});
  EXPECT_EQ(trace.layers[0].rows, batch.last_token);
  EXPECT_EQ(trace.layers[0].routing.weight_Tk.size(0), 2);
}

// Training options change the numbers; without them nothing is dropped and nothing is drawn.
TEST(RoutingOptions, CapacityDropsAndNoiseIsDrawnFromTheSeed) {
  torch::NoGradGuard no_grad;
  const DecoderConfig config = tiny_moe_configs()[0].second;
  const Decoder decoder = tiny_decoder(config);
  const Batch batch = packed({random_tokens(40, 4)});
  const Tensor plain = decoder.hidden(batch);
  RoutingTrace trace;
  RoutingOptions options;
  options.trace = &trace;
  options.capacity_factor = 0.5;
  EXPECT_FALSE(torch::equal(decoder.hidden(batch, nullptr, options), plain));
  EXPECT_GE(trace.layers[0].slot_Tk.lt(0).sum().item<int64_t>(), 40);  // at least half of 80 assignments
  options.capacity_factor = 4;                                         // as many as there are
  EXPECT_TRUE(torch::equal(decoder.hidden(batch, nullptr, options), plain));
  options = {nullptr, 0.5, 3};
  const Tensor noisy = decoder.hidden(batch, nullptr, options);
  EXPECT_FALSE(torch::equal(noisy, plain));
  EXPECT_TRUE(torch::equal(decoder.hidden(batch, nullptr, options), noisy));
  options.noise_seed = 4;
  EXPECT_FALSE(torch::equal(decoder.hidden(batch, nullptr, options), noisy));
  EXPECT_TRUE(torch::equal(decoder.hidden(batch), plain));
}

TEST(MoeDecoder, CountsTheParametersOfTheChosenExperts) {
  const DecoderConfig config =
      tiny_moe_configs()[1].second;  // 2 of 6 experts of 3 x 24 x 10, shared 3 x 24 x 14
  const int64_t attention = tiny_config().num_matmul_parameters() - 2 * 3 * 36 * 24;
  EXPECT_EQ(config.num_matmul_parameters(), attention + 2 * (6 * 24 + 2 * 3 * 24 * 10 + 3 * 24 * 14 + 24));
}

TEST(MoeDecoder, CorrectionBiasStartsAtZeroAndIsNotTrained) {
  Decoder decoder(tiny_moe_configs()[2].second, 1);
  decoder.set_requires_grad(true);
  const Tensor& bias = decoder.weights().at("layers.1.mlp.gate.e_score_correction_bias");
  EXPECT_EQ(bias.abs().max().item<float>(), 0);
  EXPECT_FALSE(bias.requires_grad());
  EXPECT_TRUE(decoder.weights().at("layers.1.mlp.gate.weight").requires_grad());
  EXPECT_EQ(decoder.weights().at("layers.1.mlp.experts.gate_up_proj").sizes(),
            torch::IntArrayRef({8, 20, 24}));
}

}  // namespace
}  // namespace dmoerm::nn
