// The linear layer with experts against its plain form, and dropout whose masks are counted.
#include "dmoerm/ops/expert_linear.h"

#include "testing.h"

namespace dmoerm::ops {
namespace {

struct Layer {
  Tensor x, weight, bias;
  std::vector<LowRankUpdate> updates;
  std::vector<uint64_t> row_keys;

  std::vector<Tensor> leaves() const {
    std::vector<Tensor> all = {x, weight};
    if (bias.defined()) all.push_back(bias);
    for (const LowRankUpdate& update : updates) all.insert(all.end(), {update.pair.a, update.pair.b});
    return all;
  }
};

// Two rows of the base, an expert of rank 4, three rows of the base, and an expert of rank 7.
Layer make_layer(torch::ScalarType type, bool with_bias) {
  torch::manual_seed(11);
  const auto leaf = [&](std::initializer_list<int64_t> shape) {
    return torch::randn(shape, torch::kFloat64).to(type).set_requires_grad(true);
  };
  Layer layer;
  layer.x = leaf({25, 18});
  layer.weight = leaf({13, 18});
  if (with_bias) layer.bias = leaf({13});
  layer.updates = {{{leaf({4, 18}), leaf({13, 4}), 0.5}, 2, 9}, {{leaf({7, 18}), leaf({13, 7}), 2}, 14, 11}};
  for (uint64_t row = 0; row < 25; ++row) layer.row_keys.push_back(row * row + 1000);
  return layer;
}

TEST(ExpertLinear, EqualsReferenceForwardAndBackward) {
  for (const bool with_bias : {false, true}) {
    for (const double probability : {0.0, 0.3}) {
      const Layer exact = make_layer(torch::kFloat64, with_bias),
                  layer = make_layer(torch::kFloat32, with_bias);
      const RowDropout dropout = {probability, 5, exact.row_keys};
      const Tensor expected =
          expert_linear_reference(exact.x, exact.weight, exact.bias, exact.updates, dropout);
      const Tensor actual = expert_linear(layer.x, layer.weight, layer.bias, layer.updates, dropout);
      EXPECT_LT(relative_error(actual, expected), 1e-6);
      const Tensor direction = torch::randn_like(expected);
      const auto expected_grads = gradients(expected, direction, exact.leaves());
      const auto actual_grads = gradients(actual, direction.to(torch::kFloat32), layer.leaves());
      for (size_t i = 0; i < actual_grads.size(); ++i)
        EXPECT_LT(relative_error(actual_grads[i], expected_grads[i]), 2e-6) << i;
    }
  }
}

// The formula itself, one row at a time.
TEST(ExpertLinear, ReferenceEqualsMergedWeights) {
  const Layer layer = make_layer(torch::kFloat64, true);
  const Tensor actual = expert_linear_reference(layer.x, layer.weight, layer.bias, layer.updates).detach();
  for (int64_t row = 0; row < 25; ++row) {
    Tensor weight = layer.weight.detach();
    for (const auto& [pair, begin, count, column] : layer.updates)
      if (row >= begin && row < begin + count)
        weight = weight + pair.b.detach().mm(pair.a.detach()) * pair.scale;
    EXPECT_LT(relative_error(actual[row], weight.mv(layer.x.detach()[row]) + layer.bias.detach()), 1e-12);
  }
}

TEST(ExpertLinear, FrozenBaseGetsNoGradient) {
  Layer layer = make_layer(torch::kFloat32, true);
  layer.weight = layer.weight.detach();
  layer.bias = layer.bias.detach();
  expert_linear(layer.x, layer.weight, layer.bias, layer.updates).sum().backward();
  EXPECT_FALSE(layer.weight.grad().defined());
  EXPECT_TRUE(layer.x.grad().defined());
  EXPECT_TRUE(layer.updates[0].pair.a.grad().defined());
}

TEST(ExpertLinear, NoExpertsIsALinearLayer) {
  const Layer layer = make_layer(torch::kFloat32, false);
  EXPECT_TRUE(
      torch::equal(expert_linear(layer.x, layer.weight, {}, {}), torch::linear(layer.x, layer.weight)));
}

TEST(ExpertLinear, BfloatRowsWithFloatExperts) {
  const Layer exact = make_layer(torch::kFloat64, true);
  Layer layer = make_layer(torch::kFloat32, true);
  for (Tensor* x : {&layer.x, &layer.weight, &layer.bias}) *x = x->detach().to(torch::kBFloat16);
  const Tensor y = expert_linear(layer.x, layer.weight, layer.bias, layer.updates);
  EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
  const Tensor expected = expert_linear_reference(exact.x, exact.weight, exact.bias, exact.updates);
  EXPECT_LT(relative_error(y, expected), 3e-2);
  y.to(torch::kFloat32).sum().backward();
  EXPECT_EQ(layer.updates[0].pair.b.grad().scalar_type(), torch::kFloat32);
}

TEST(RowDropout, KernelAndPlainFormDrawTheSame) {
  torch::manual_seed(12);
  std::vector<uint64_t> keys;
  for (uint64_t i = 0; i < 60; ++i) keys.push_back(i * 0x9e3779b97f4a7c15ull);
  const Tensor x = torch::rand({60, 75}) + 0.5;
  const RowDropout dropout = {0.25, 99, keys};
  const Tensor y = row_dropout(x, dropout);
  EXPECT_TRUE(torch::equal(y, row_dropout_reference(x, dropout)));
  Tensor leaf = x.clone().set_requires_grad(true);
  row_dropout(leaf, dropout).sum().backward();
  EXPECT_TRUE(torch::allclose(leaf.grad() * x, y));
}

// The mask belongs to the row's key: neither the row's place nor its neighbours matter.
TEST(RowDropout, FollowsTheKeyNotThePlace) {
  const std::vector<uint64_t> keys = {7, 8, 9}, turned = {9, 7};
  const Tensor y = row_dropout(torch::ones({3, 500}), {0.5, 1, keys});
  const Tensor z = row_dropout(torch::ones({2, 500}), {0.5, 1, turned});
  EXPECT_TRUE(torch::equal(z[0], y[2]));
  EXPECT_TRUE(torch::equal(z[1], y[0]));
  EXPECT_FALSE(torch::equal(y, row_dropout(torch::ones({3, 500}), {0.5, 2, keys})));
}

// 400,000 draws: the share kept within 5 standard deviations, columns and neighbouring keys not correlated.
TEST(RowDropout, DrawsAreUniformAndIndependent) {
  std::vector<uint64_t> keys;
  for (uint64_t i = 0; i < 400; ++i) keys.push_back(i);
  for (const double probability : {0.05, 0.5}) {
    const Tensor kept =
        (row_dropout(torch::ones({400, 1000}), {probability, 3, keys}) > 0).to(torch::kFloat64);
    const double deviation = std::sqrt(probability * (1 - probability));
    EXPECT_NEAR(kept.mean().item<double>(), 1 - probability, 5 * deviation / std::sqrt(4e5));
    const Tensor z = (kept - (1 - probability)) / deviation;
    EXPECT_LT(std::abs((z.narrow(0, 1, 399) * z.narrow(0, 0, 399)).mean().item<double>()),
              5 / std::sqrt(4e5));
    EXPECT_LT(std::abs((z.narrow(1, 1, 999) * z.narrow(1, 0, 999)).mean().item<double>()),
              5 / std::sqrt(4e5));
    EXPECT_LT(z.mean(0).abs().max().item<double>(), 6 / std::sqrt(400.0));
    EXPECT_LT(z.mean(1).abs().max().item<double>(), 6 / std::sqrt(1000.0));
  }
}

}  // namespace
}  // namespace dmoerm::ops
