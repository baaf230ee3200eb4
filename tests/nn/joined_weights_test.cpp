// Joined projections and recomputed layers give what the plain decoder gives.
#include "dmoerm/nn/joined_weights.h"

#include "tests/nn/tiny_decoder.h"

namespace dmoerm::nn {
namespace {

DecoderConfig deep_config() {
  DecoderConfig config = tiny_config();
  config.num_layers = 4;
  config.qkv_bias = true;
  return config;
}

Decoder joined_decoder(const DecoderConfig& config) {
  NamedTensors weights = tiny_decoder(config).weights();
  join_weights(config, weights);
  return Decoder(config, std::move(weights));
}

// States of a packed batch and the gradients of a sum over them, of all weights and all LoRA factors.
NamedTensors run(Decoder& decoder, ExpertSet* set) {
  const Sequences sequences = {random_tokens(9, 1), random_tokens(5, 2), random_tokens(7, 3)};
  const Batch batch = packed(sequences, set ? static_cast<int32_t>(set->experts.size()) : 0);
  NamedTensors parameters;
  for (auto& [name, weight] : decoder.weights()) parameters[name] = weight;
  for (size_t e = 0; set && e < set->experts.size(); ++e)
    for (auto& [name, pair] : set->experts[e].pairs) {
      parameters[fmt::format("{} a {}", name, e)] = pair.a;
      parameters[fmt::format("{} b {}", name, e)] = pair.b;
    }
  for (auto& [name, parameter] : parameters) {
    parameter.set_requires_grad(true);
    parameter.mutable_grad() = Tensor();
  }
  const Tensor z_RD = decoder.last_hidden(batch, set);
  (z_RD * random_tensor("direction", z_RD.sizes(), 1)).sum().backward();
  NamedTensors result = {{"states", z_RD.detach()}};
  for (auto& [name, parameter] : parameters)
    if (parameter.grad().defined()) result[name] = parameter.grad().clone();
  return result;
}

void expect_same(const NamedTensors& actual, const NamedTensors& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) expect_near(actual.at(name), tensor, tolerance, name);
}

TEST(JoinedWeights, GiveTheStatesAndGradientsOfSeparateOnes) {
  for (const bool with_experts : {false, true}) {
    ExpertSet set = tiny_experts(deep_config()), same = tiny_experts(deep_config());
    Decoder plain = tiny_decoder(deep_config()), joined = joined_decoder(deep_config());
    expect_same(run(joined, with_experts ? &same : nullptr), run(plain, with_experts ? &set : nullptr), 1e-5);
  }
}

TEST(JoinedWeights, AreViewsThatStayInPlace) {
  Decoder decoder = joined_decoder(deep_config());
  const auto part = [&](const char* name) {
    return decoder.weights().at(std::string("layers.1.self_attn.") + name);
  };
  const std::vector<Tensor> parts = {part("q_proj.weight"), part("k_proj.weight"), part("v_proj.weight")};
  const Tensor all = joined_rows(parts);
  ASSERT_TRUE(all.defined());
  part("k_proj.weight").fill_(7);
  EXPECT_TRUE(torch::equal(all, torch::cat(parts)));
  EXPECT_EQ(all.data_ptr(), parts[0].data_ptr());
}

TEST(JoinedWeights, AreUndefinedWhereTheyAreNotNeighbours) {
  const Tensor all = torch::arange(24, torch::kFloat32).view({6, 4});
  const Tensor a = all.narrow(0, 0, 2), b = all.narrow(0, 2, 2), c = all.narrow(0, 4, 2);
  EXPECT_TRUE(joined_rows({a, b, c}).defined());
  EXPECT_TRUE(joined_rows({b, c}).defined());
  EXPECT_FALSE(joined_rows({a, c}).defined());
  EXPECT_FALSE(joined_rows({b, a}).defined());
  EXPECT_FALSE(joined_rows({a, b.clone()}).defined());
  EXPECT_FALSE(joined_rows({a, torch::ones({2, 4})}).defined());
}

TEST(Recompute, GivesTheSameBitsWithinAnyBudget) {
  for (const bool with_experts : {false, true}) {
    ExpertSet set = tiny_experts(deep_config());
    ExpertSet* experts = with_experts ? &set : nullptr;
    Decoder decoder = tiny_decoder(deep_config());
    const NamedTensors expected = run(decoder, experts);
    for (const int64_t budget : {int64_t{1}, int64_t{20000}, int64_t{1} << 40}) {
      decoder.set_activation_budget(budget);
      expect_same(run(decoder, experts), expected, 0);
    }
  }
}

TEST(Recompute, WorksOverAFrozenBaseAndWithDropout) {
  ExpertSet set = tiny_experts(deep_config());
  for (LoraExpert& expert : set.experts) expert.dropout = 0.3;
  set.training = true;
  set.dropout_keys = {1, 2, 3};
  std::vector<NamedTensors> results;
  for (const int64_t budget : {int64_t{0}, int64_t{1}}) {
    Decoder decoder = tiny_decoder(deep_config());
    decoder.set_activation_budget(budget);
    Sequences sequences = {random_tokens(9, 1), random_tokens(5, 2)};
    for (LoraExpert& expert : set.experts)
      for (auto& [name, pair] : expert.pairs)
        for (Tensor* factor : {&pair.a, &pair.b}) {
          factor->set_requires_grad(true);
          factor->mutable_grad() = Tensor();
        }
    decoder.last_hidden(packed(sequences, 3), &set).square().sum().backward();
    NamedTensors gradients;
    for (size_t e = 0; e < set.experts.size(); ++e)
      for (auto& [name, pair] : set.experts[e].pairs)
        gradients[fmt::format("{} {}", name, e)] = pair.a.grad().clone();
    results.push_back(gradients);
  }
  expect_same(results[1], results[0], 0);
}

}  // namespace
}  // namespace dmoerm::nn
