// Grouped products against plain operations, gradients against finite differences, empty groups.
#include "dmoerm/ops/grouped_linear.h"

#include <torch/csrc/autograd/autograd.h>

#include "testing.h"

namespace dmoerm::ops {
namespace {

constexpr int64_t kIn = 7, kOut = 10;

// Rows of four groups, the second and the last empty; updates over parts of the rows and of the outputs.
struct Problem {
  std::vector<int64_t> offsets = {0, 6, 6, 17, 17};
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

Problem make_problem(torch::ScalarType dtype, bool with_bias) {
  torch::manual_seed(3);
  const auto leaf = [&](torch::IntArrayRef shape) {
    return torch::randn(shape, torch::kFloat64).to(dtype).set_requires_grad(true);
  };
  Problem p;
  p.x = leaf({17, kIn});
  p.weight = leaf({4, kOut, kIn});
  if (with_bias) p.bias = leaf({4, kOut});
  // Rows 2-5 over all outputs, 8-10 over the first half, 9-16 over the second; one update without rows.
  p.updates = {{{leaf({3, kIn}), leaf({kOut, 3}), 0.5}, 2, 4, 0},
               {{leaf({2, kIn}), leaf({5, 2}), -2.0}, 8, 3, 0},
               {{leaf({1, kIn}), leaf({5, 1}), 1.5}, 9, 8, 5}};
  for (uint64_t row = 0; row < 17; ++row) p.row_keys.push_back(row * row + 5);
  return p;
}

TEST(GroupedLinear, EqualsReferenceForwardAndBackward) {
  for (const bool with_bias : {false, true})
    for (const double probability : {0.0, 0.3}) {
      const Problem exact = make_problem(torch::kFloat64, with_bias),
                    problem = make_problem(torch::kFloat32, with_bias);
      const auto run = [&](auto op, const Problem& p) {
        return op(p.x, p.weight, p.bias, p.offsets, p.updates, RowDropout{probability, 5, p.row_keys});
      };
      const Tensor expected = run(grouped_linear_reference, exact), actual = run(grouped_linear, problem);
      EXPECT_LT(relative_error(actual, expected), 1e-6);
      const Tensor direction = torch::randn_like(expected);
      const auto expected_grads = gradients(expected, direction, exact.leaves());
      const auto actual_grads = gradients(actual, direction.to(torch::kFloat32), problem.leaves());
      for (size_t i = 0; i < actual_grads.size(); ++i)
        EXPECT_LT(relative_error(actual_grads[i], expected_grads[i]), 2e-6) << i;
    }
}

TEST(GroupedLinear, GradientsEqualFiniteDifferences) {
  const Problem p = make_problem(torch::kFloat64, true);
  const Tensor direction = torch::randn({17, kOut}, torch::kFloat64);
  const auto loss = [&] {
    return (grouped_linear(p.x, p.weight, p.bias, p.offsets, p.updates, {0.3, 5, p.row_keys}) * direction)
        .sum();
  };
  expect_finite_differences(loss, p.leaves(), 1e-7);
}

// One row at a time, with nothing of the code under test.
TEST(GroupedLinear, EachRowIsMultipliedByItsGroupsWeight) {
  const Problem p = make_problem(torch::kFloat64, true);
  const Tensor y = grouped_linear(p.x, p.weight, p.bias, p.offsets).detach();
  for (int64_t row = 0; row < 17; ++row) {
    const int64_t group = row < 6 ? 0 : 2;
    EXPECT_LT(relative_error(y[row], p.weight.detach()[group].mv(p.x.detach()[row]) + p.bias.detach()[group]),
              1e-14);
  }
}

TEST(GroupedLinear, EmptyGroupsGetZeroGradientAndNoRowsWork) {
  const Problem p = make_problem(torch::kFloat32, false);
  const auto grads =
      gradients(grouped_linear(p.x, p.weight, {}, p.offsets), torch::ones({17, kOut}), {p.weight});
  EXPECT_EQ(grads[0][1].abs().max().item<float>(), 0);
  EXPECT_EQ(grads[0][3].abs().max().item<float>(), 0);
  EXPECT_GT(grads[0][2].abs().max().item<float>(), 0);
  const Tensor none = torch::empty({0, kIn}).set_requires_grad(true);
  const std::vector<int64_t> zeros(5, 0);
  const Tensor y = grouped_linear(none, p.weight, {}, zeros);
  EXPECT_EQ(y.sizes(), torch::IntArrayRef({0, kOut}));
  EXPECT_EQ(gradients(y, torch::empty({0, kOut}), {p.weight})[0].abs().max().item<float>(), 0);
}

TEST(GroupedLinear, BfloatRowsWithFloatUpdates) {
  const Problem exact = make_problem(torch::kFloat64, true);
  Problem p = make_problem(torch::kFloat32, true);
  for (Tensor* t : {&p.x, &p.weight, &p.bias}) *t = t->detach().to(torch::kBFloat16);
  const Tensor y = grouped_linear(p.x, p.weight, p.bias, p.offsets, p.updates);
  EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
  EXPECT_LT(relative_error(
                y, grouped_linear_reference(exact.x, exact.weight, exact.bias, exact.offsets, exact.updates)),
            3e-2);
  y.to(torch::kFloat32).sum().backward();
  EXPECT_EQ(p.updates[0].pair.b.grad().scalar_type(), torch::kFloat32);
}

}  // namespace
}  // namespace dmoerm::ops
