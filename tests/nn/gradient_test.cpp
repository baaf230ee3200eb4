// Packed groups against each sequence run alone, rewards and gradients; gradients against finite differences.
#include "dmoerm/core/error.h"
#include "tests/nn/tiny_decoder.h"

namespace dmoerm::nn {
namespace {

// sum over r of weight_r * (z_r . head), with weights and head that are fixed numbers.
Tensor loss_of(const Tensor& z_RD, const Tensor& weight_R) {
  const Tensor head = random_tensor("head", {z_RD.size(1)}, 0.5, z_RD.scalar_type());
  return (torch::mv(z_RD, head) * weight_R.to(z_RD.scalar_type())).sum();
}

void require_grad(ExpertSet& set) {
  for (LoraExpert& expert : set.experts)
    for (auto& [name, pair] : expert.pairs) {
      pair.a.set_requires_grad(true);
      pair.b.set_requires_grad(true);
    }
}

NamedTensors take_gradients(Decoder& decoder, ExpertSet& set) {
  NamedTensors gradients;
  const auto take = [&](const std::string& name, Tensor& parameter) {
    gradients[name] = parameter.grad().defined() ? parameter.grad().clone() : torch::zeros_like(parameter);
    parameter.mutable_grad() = Tensor();
  };
  for (auto& [name, weight] : decoder.weights()) take(name, weight);
  for (size_t e = 0; e < set.experts.size(); ++e)
    for (auto& [name, pair] : set.experts[e].pairs) {
      take(fmt::format("expert {} {} a", e, name), pair.a);
      take(fmt::format("expert {} {} b", e, name), pair.b);
    }
  return gradients;
}

void expect_equal_gradients(const NamedTensors& actual, const NamedTensors& expected, double tolerance,
                            const std::string& what) {
  for (const auto& [name, gradient] : expected)
    expect_near(actual.at(name), gradient, tolerance, what + ": " + name);
}

TEST(PackedGroup, RewardsAndGradientsAreThoseOfEachSequenceAlone) {
  for (const bool window : {false, true}) {
    DecoderConfig config = tiny_config();
    config.qkv_bias = true;
    config.sliding_window = window ? 6 : 0;
    Decoder decoder = tiny_decoder(config);
    decoder.set_requires_grad(true);
    ExpertSet none;
    for (const auto& [name, sequences] : awkward_groups()) {
      const Tensor weight_R = random_tensor(name, {static_cast<int64_t>(sequences.size())}, 1);
      const Tensor z_RD = decoder.last_hidden(packed(sequences));
      loss_of(z_RD, weight_R).backward();
      const NamedTensors together = take_gradients(decoder, none);
      for (size_t r = 0; r < sequences.size(); ++r) {
        const Tensor alone = decoder.last_hidden(packed({sequences[r]}));
        expect_near(z_RD[r], alone[0], 1e-5, name);
        loss_of(alone, weight_R.narrow(0, r, 1)).backward();
      }
      expect_equal_gradients(together, take_gradients(decoder, none), 1e-5, name);
    }
  }
}

TEST(PackedGroup, ExpertsTogetherAreEachExpertAlone) {
  Decoder decoder = tiny_decoder(tiny_config());
  decoder.set_requires_grad(true);
  ExpertSet set = tiny_experts(tiny_config());
  require_grad(set);
  for (const auto& [name, sequences] : awkward_groups()) {
    const auto count = static_cast<int64_t>(sequences.size());
    const Tensor weight_RK = random_tensor(name, {count, 3}, 1);
    const Tensor z_RD = decoder.last_hidden(packed(sequences, 3), &set);
    loss_of(z_RD, weight_RK.flatten()).backward();
    const NamedTensors together = take_gradients(decoder, set);
    for (int64_t e = 0; e < 3; ++e) {
      ExpertSet alone;
      alone.experts = {set.experts[e]};
      for (int64_t r = 0; r < count; ++r) {
        const Tensor z = decoder.last_hidden(packed({sequences[r]}, 1), &alone);
        expect_near(z_RD[r * 3 + e], z[0], 1e-5, name);
        loss_of(z, weight_RK[r].narrow(0, e, 1)).backward();
      }
    }
    expect_equal_gradients(together, take_gradients(decoder, set), 1e-5, name);
  }
}

TEST(PackedGroup, BaseRowsBesideExpertsStayTheBases) {
  torch::NoGradGuard no_grad;
  const Decoder decoder = tiny_decoder(tiny_config());
  const ExpertSet set = tiny_experts(tiny_config());
  const auto tokens = random_tokens(9, 8);
  const std::vector<data::PackItem> items = {{tokens, 0, 2}, {tokens, 0, -1}};
  const Tensor z = decoder.last_hidden(to_device(data::pack(items, 3), torch::kCPU), &set);
  expect_near(z[1], decoder.last_hidden(packed({tokens}))[0], 1e-5, "base");
  EXPECT_GT((z[0] - z[1]).abs().max().item<double>(), 0.01);
}

TEST(PackedGroup, FrozenBaseGetsNoGradient) {
  Decoder decoder = tiny_decoder(tiny_config());
  ExpertSet set = tiny_experts(tiny_config());
  require_grad(set);
  decoder.last_hidden(packed({random_tokens(7, 1)}, 3), &set).sum().backward();
  for (const auto& [name, weight] : decoder.weights()) EXPECT_FALSE(weight.grad().defined()) << name;
  EXPECT_GT(set.experts[0].pairs.at("layers.0.self_attn.q_proj").a.grad().abs().sum().item<double>(), 0);
}

// Every parameter, three of its numbers each, in double.
TEST(Gradient, EqualsFiniteDifferences) {
  DecoderConfig config = tiny_config();
  config.qkv_bias = config.o_bias = config.mlp_bias = true;
  config.sliding_window = 6;
  config.windowed_layers = {true, false};
  Decoder decoder = tiny_decoder(config, torch::kFloat64);
  decoder.set_requires_grad(true);
  ExpertSet set = tiny_experts(config, torch::kFloat64);
  require_grad(set);
  const Batch batch = packed(awkward_groups()[1].second, 3);
  const Tensor weight_R = random_tensor("loss", {batch.last_token_R.size(0)}, 1, torch::kFloat64);
  const auto loss = [&] { return loss_of(decoder.last_hidden(batch, &set), weight_R); };
  loss().backward();

  std::vector<std::pair<std::string, Tensor>> parameters(decoder.weights().begin(), decoder.weights().end());
  for (size_t e = 0; e < set.experts.size(); ++e)
    for (const auto& [name, pair] : set.experts[e].pairs) {
      parameters.emplace_back(fmt::format("expert {} {} a", e, name), pair.a);
      parameters.emplace_back(fmt::format("expert {} {} b", e, name), pair.b);
    }
  expect_finite_differences(parameters, loss, 3, "");
}

class ExpertDropout : public testing::Test {
 protected:
  ExpertDropout() : decoder_(tiny_decoder(tiny_config())), set_(tiny_experts(tiny_config())) {
    set_.training = true;
    set_.dropout_seed = 9;
    set_.dropout_keys = {11, 12, 13};
    for (LoraExpert& expert : set_.experts) expert.dropout = 0.5;
  }
  Decoder decoder_;
  ExpertSet set_;
  torch::NoGradGuard no_grad_;
};

TEST_F(ExpertDropout, IsOffOutsideTraining) {
  const Batch batch = packed(awkward_groups()[1].second, 3);
  const Tensor dropped = decoder_.last_hidden(batch, &set_);
  set_.training = false;
  const Tensor plain = decoder_.last_hidden(batch, &set_);
  const ExpertSet untouched = tiny_experts(tiny_config());
  EXPECT_TRUE(torch::equal(plain, decoder_.last_hidden(batch, &untouched)));
  EXPECT_GT((plain - dropped).abs().max().item<double>(), 0.01);
}

TEST_F(ExpertDropout, DoesNotDependOnSharingOrOnOtherExperts) {
  for (const auto& [name, sequences] : awkward_groups()) {
    const Tensor z = decoder_.last_hidden(packed(sequences, 3), &set_);
    expect_near(decoder_.last_hidden(packed(sequences, 3, false), &set_), z, 1e-5, name + ", unshared");
    expect_near(
        decoder_.hidden(packed(sequences, 3), &set_).index_select(0, packed(sequences, 3).last_token_R), z,
        1e-5, name + ", all rows");
    for (int64_t e = 0; e < 3; ++e) {
      ExpertSet alone = set_;
      alone.experts = {set_.experts[e]};
      alone.dropout_keys = {set_.dropout_keys[e]};
      const Tensor z_alone = decoder_.last_hidden(packed(sequences, 1), &alone);
      for (size_t r = 0; r < sequences.size(); ++r)
        expect_near(z[r * 3 + e], z_alone[r], 1e-5, name + ", alone");
    }
  }
}

TEST_F(ExpertDropout, ChangesWithSeedAndExpert) {
  const Batch batch = packed({random_tokens(9, 1)}, 3);
  const Tensor first = decoder_.last_hidden(batch, &set_);
  set_.dropout_seed = 10;
  EXPECT_FALSE(torch::equal(first, decoder_.last_hidden(batch, &set_)));
  set_.dropout_seed = 9;
  EXPECT_TRUE(torch::equal(first, decoder_.last_hidden(batch, &set_)));
  set_.dropout_keys = {21, 22, 23};
  EXPECT_FALSE(torch::equal(first, decoder_.last_hidden(batch, &set_)));
}

TEST_F(ExpertDropout, RefusesExpertsOfDifferentDropout) {
  set_.experts[1].dropout = 0.1;
  EXPECT_THROW(decoder_.last_hidden(packed({{1}}, 3), &set_), Error);
}

}  // namespace
}  // namespace dmoerm::nn
