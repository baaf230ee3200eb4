#include "dmoerm/ops/linear_cross_entropy.h"

#include <array>

#include "testing.h"

namespace dmoerm::ops {
namespace {

struct OutputLayer {
  std::vector<Tensor> leaves;  // hidden [T, D], weight [V, D]
  Tensor target_T;
};

OutputLayer draw_layer(int64_t rows, int64_t width, int64_t vocab) {
  torch::manual_seed(rows + vocab);
  return {as_leaves(
              {torch::randn({rows, width}, torch::kFloat64), torch::randn({vocab, width}, torch::kFloat64)}),
          torch::randint(vocab, {rows}, torch::kInt64)};
}

// 300 rows of 30,000 numbers are taken in parts.
TEST(LinearCrossEntropy, EqualsReferenceForwardAndBackward) {
  for (const auto& [rows, width, vocab] :
       std::vector<std::array<int64_t, 3>>{{1, 1, 1}, {1, 3, 2}, {50, 16, 37}, {300, 4, 30000}})
    for (const auto type : {torch::kFloat64, torch::kFloat32, torch::kBFloat16}) {
      if (vocab > 1000 && type == torch::kFloat64) continue;  // slow
      const OutputLayer exact = draw_layer(rows, width, vocab);
      const auto leaves = as_leaves({exact.leaves[0].detach().to(type), exact.leaves[1].detach().to(type)});
      const Tensor expected =
          linear_cross_entropy_reference(exact.leaves[0], exact.leaves[1], exact.target_T);
      const Tensor actual = linear_cross_entropy(leaves[0], leaves[1], exact.target_T);
      const double tolerance = type == torch::kFloat64 ? 1e-12 : type == torch::kFloat32 ? 1e-5 : 3e-2;
      EXPECT_LE(relative_error(actual, expected), tolerance) << rows << " " << toString(type);
      const Tensor direction = torch::full({}, 0.5, torch::kFloat64);
      const auto expected_grads = gradients(expected, direction, exact.leaves);
      const auto actual_grads = gradients(actual, direction.to(actual.scalar_type()), leaves);
      for (size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(actual_grads[i].scalar_type(), type);
        if (vocab > 1) {
          EXPECT_LE(relative_error(actual_grads[i], expected_grads[i]), tolerance)
              << rows << " " << toString(type) << " gradient " << i;
        }
      }
    }
}

TEST(LinearCrossEntropy, GradientsEqualFiniteDifferences) {
  const OutputLayer p = draw_layer(5, 3, 7);
  expect_finite_differences([&] { return linear_cross_entropy(p.leaves[0], p.leaves[1], p.target_T) * 0.3; },
                            p.leaves, 1e-7);
}

TEST(LinearCrossEntropy, NoGradientAndGradientOfOneAlone) {
  const OutputLayer p = draw_layer(5, 3, 7);
  const double expected = linear_cross_entropy(p.leaves[0], p.leaves[1], p.target_T).item<double>();
  {
    const torch::NoGradGuard no_grad;
    const Tensor loss = linear_cross_entropy(p.leaves[0], p.leaves[1], p.target_T);
    EXPECT_FALSE(loss.requires_grad());
    EXPECT_EQ(loss.item<double>(), expected);
  }
  const Tensor frozen = p.leaves[1].detach();
  const Tensor alone =
      torch::autograd::grad({linear_cross_entropy(p.leaves[0], frozen, p.target_T)}, {p.leaves[0]})[0];
  const Tensor both =
      torch::autograd::grad({linear_cross_entropy(p.leaves[0], p.leaves[1], p.target_T)}, p.leaves)[0];
  EXPECT_TRUE(torch::equal(alone, both));
}

// Neither overflow nor rounding away: the loss of a sure prediction is 0, of its opposite the distance.
TEST(LinearCrossEntropy, LargeLogits) {
  const Tensor hidden = torch::tensor({{1000.f}, {-1000.f}}), weight = torch::tensor({{1.f}, {-1.f}});
  const Tensor loss = linear_cross_entropy(hidden, weight, torch::tensor({0, 0}, torch::kInt64));
  EXPECT_FLOAT_EQ(loss.item<float>(), 2000);
}

}  // namespace
}  // namespace dmoerm::ops
