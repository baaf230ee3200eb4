// Sparse decoders: packed groups and experts together against each alone, and finite differences.
#include "tests/nn/tiny_moe.h"

namespace dmoerm::nn {
namespace {

Tensor loss_of_states(const Tensor& z_RD, const Tensor& weight_R) {
  const Tensor head = random_tensor("head", {z_RD.size(1)}, 0.5, z_RD.scalar_type());
  return (torch::mv(z_RD, head) * weight_R.to(z_RD.scalar_type())).sum();
}

// Every sequence and every LoRA expert by itself; with dropout too, whose masks follow the expert.
void expect_together_is_alone(const DecoderConfig& config, double dropout, torch::ScalarType dtype) {
  Decoder decoder = tiny_decoder(config, dtype);
  ExpertSet set = tiny_moe_experts(config, dtype);
  for (LoraExpert& expert : set.experts) expert.dropout = dropout;
  set.training = true;
  set.dropout_seed = 9;
  set.dropout_keys = {11, 12, 13};
  require_gradients(decoder, set);
  const auto parameters = all_parameters(decoder, set);
  for (const auto& [name, sequences] : awkward_groups()) {
    const auto count = static_cast<int64_t>(sequences.size());
    const Tensor weight_RK = random_tensor(name, {count, 3}, 1);
    const Tensor z_RD = decoder.last_hidden(packed(sequences, 3), &set);
    loss_of_states(z_RD, weight_RK.flatten()).backward();
    const NamedTensors together = taken_gradients(parameters);
    for (int64_t e = 0; e < 3; ++e) {
      ExpertSet alone = set;
      alone.experts = {set.experts[e]};
      alone.dropout_keys = {set.dropout_keys[e]};
      for (int64_t r = 0; r < count; ++r) {
        const Tensor z = decoder.last_hidden(packed({sequences[r]}, 1), &alone);
        expect_near(z_RD[r * 3 + e], z[0], 1e-5, name);
        loss_of_states(z, weight_RK[r].narrow(0, e, 1)).backward();
      }
    }
    const NamedTensors apart = taken_gradients(parameters);
    for (const auto& [parameter, gradient] : apart)
      expect_near(together.at(parameter), gradient, 1e-5, name + ": " + parameter);
  }
}

TEST(MoeGradient, PackedGroupsAndExpertsTogetherAreEachAlone) {
  for (const auto& [name, config] : tiny_moe_configs()) {
    SCOPED_TRACE(name);
    expect_together_is_alone(config, 0, torch::kFloat32);
  }
}

TEST(MoeGradient, ExpertsTogetherAreEachAloneWithDropout) {
  expect_together_is_alone(tiny_moe_configs()[1].second, 0.3, torch::kFloat64);
}

TEST(MoeGradient, FrozenBaseGetsNoGradient) {
  const DecoderConfig config = tiny_moe_configs()[0].second;
  Decoder decoder = tiny_decoder(config);
  ExpertSet set = tiny_moe_experts(config);
  require_gradients(decoder, set);
  decoder.set_requires_grad(false);
  decoder.last_hidden(packed({random_tokens(7, 1)}, 3), &set).sum().backward();
  for (const auto& [name, weight] : decoder.weights()) EXPECT_FALSE(weight.grad().defined()) << name;
  int64_t reached = 0;  // experts that no row chose get none
  for (const auto& [name, pair] : set.experts[1].pairs)
    reached += name.find(".experts.") != std::string::npos && pair.a.grad().defined();
  EXPECT_GT(reached, 6);
}

// Every parameter, two of its numbers each, in double; the router's weights among them.
TEST(MoeGradient, EqualsFiniteDifferences) {
  for (const auto& [model, config] : tiny_moe_configs()) {
    Decoder decoder = tiny_decoder(config, torch::kFloat64);
    ExpertSet set = tiny_moe_experts(config, torch::kFloat64);
    require_gradients(decoder, set);
    const Batch batch = packed(awkward_groups()[1].second, 3);
    const Tensor weight_R = random_tensor("loss", {batch.last_token_R.size(0)}, 1, torch::kFloat64);
    const auto loss = [&] { return loss_of_states(decoder.last_hidden(batch, &set), weight_R); };
    loss().backward();
    expect_finite_differences(all_parameters(decoder, set), loss, 2, model);
  }
}

}  // namespace
}  // namespace dmoerm::nn
