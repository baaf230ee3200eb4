// RMS norm, rotary, SwiGLU, AdamW and the gradient norm against their plain forms in double.
#include <torch/optim/adamw.h>

#include "dmoerm/ops/adamw.h"
#include "dmoerm/ops/rms_norm.h"
#include "dmoerm/ops/rotary.h"
#include "dmoerm/ops/swiglu.h"
#include "testing.h"

namespace dmoerm::ops {
namespace {

using Op = std::function<Tensor(const std::vector<Tensor>&)>;

// Value and gradients of `op` in float32 against `reference` in double.
void expect_equal(const Op& op, const Op& reference, const std::vector<Tensor>& inputs, double tolerance) {
  std::vector<Tensor> exact_in, in;
  for (const Tensor& x : inputs) {
    exact_in.push_back(x.to(torch::kFloat64).clone().set_requires_grad(true));
    in.push_back(x.to(torch::kFloat32).clone().set_requires_grad(true));
  }
  const Tensor expected = reference(exact_in), actual = op(in);
  EXPECT_EQ(actual.scalar_type(), torch::kFloat32);
  EXPECT_LT(relative_error(actual, expected), tolerance);
  const Tensor direction = torch::randn_like(expected);
  const auto expected_grads = gradients(expected, direction, exact_in);
  const auto actual_grads = gradients(actual, direction.to(torch::kFloat32), in);
  for (size_t i = 0; i < in.size(); ++i)
    EXPECT_LT(relative_error(actual_grads[i], expected_grads[i]), tolerance) << i;
}

TEST(RmsNorm, EqualsReference) {
  torch::manual_seed(1);
  for (const int64_t width : {1, 7, 16, 50, 128, 1030}) {
    for (const int64_t rows : {1, 3, 300}) {
      const auto op = [](const auto& in) { return rms_norm(in[0], in[1], 1e-5); };
      const auto reference = [](const auto& in) { return rms_norm_reference(in[0], in[1], 1e-5); };
      expect_equal(op, reference, {torch::randn({rows, width}) * 3, torch::randn({width})}, 2e-6);
    }
  }
}

TEST(RmsNorm, ReferenceEqualsTheFormula) {
  const Tensor x = torch::tensor({3.0, 4.0}, torch::kFloat64).unsqueeze(0);
  const Tensor y = rms_norm_reference(x, torch::tensor({1.0, 2.0}, torch::kFloat64), 0.5);
  EXPECT_NEAR(y[0][0].item<double>(), 3 / std::sqrt(13.0), 1e-12);
  EXPECT_NEAR(y[0][1].item<double>(), 8 / std::sqrt(13.0), 1e-12);
}

TEST(RmsNorm, TakesHeadsViewsAndAFrozenWeight) {
  torch::manual_seed(2);
  const Tensor wide = torch::randn({5, 4, 30});
  Tensor x = wide.narrow(2, 3, 20).detach().set_requires_grad(true);
  const Tensor weight = torch::rand({20});
  const Tensor y = rms_norm(x, weight, 1e-6);
  EXPECT_LT(relative_error(y, rms_norm_reference(x, weight, 1e-6)), 1e-6);
  y.sum().backward();
  EXPECT_EQ(x.grad().sizes(), x.sizes());
}

TEST(RmsNorm, BfloatStaysBfloatAndEmptyStaysEmpty) {
  const Tensor x = torch::randn({4, 16}).to(torch::kBFloat16);
  EXPECT_EQ(rms_norm(x, torch::ones({16}), 1e-6).scalar_type(), torch::kBFloat16);
  EXPECT_EQ(rms_norm(torch::empty({0, 16}), torch::ones({16}), 1e-6).size(0), 0);
}

TEST(AddRmsNorm, IsTheSumAndItsNorm) {
  torch::manual_seed(3);
  const auto op = [](const auto& in) {
    const NormedSum both = add_rms_norm(in[0], in[1], in[2], 1e-5);
    return torch::cat({both.sum_TD, both.normed_TD});
  };
  const auto reference = [](const auto& in) {
    return torch::cat({in[0] + in[1], rms_norm_reference(in[0] + in[1], in[2], 1e-5)});
  };
  expect_equal(op, reference, {torch::randn({9, 50}), torch::randn({9, 50}), torch::randn({50})}, 2e-6);
}

TEST(Rotary, EqualsReference) {
  torch::manual_seed(3);
  for (const int64_t channels : {2, 16, 20, 64}) {
    for (const int64_t rotated : {channels, channels / 2 / 2 * 2}) {
      const Tensor angles = torch::randn({9, rotated / 2}, torch::kFloat64) * 100;
      const Tensor cos = angles.cos(), sin = angles.sin();
      const auto op = [&](const auto& in) {
        return rotary(in[0], cos.to(torch::kFloat32), sin.to(torch::kFloat32));
      };
      const auto reference = [&](const auto& in) { return rotary_reference(in[0], cos, sin); };
      expect_equal(op, reference, {torch::randn({9, 3, channels})}, 1e-6);
    }
  }
}

TEST(Rotary, RotatesPairsAsComplexNumbers) {
  torch::manual_seed(4);
  const Tensor x = torch::randn({5, 2, 10}, torch::kFloat64), angle = torch::randn({5, 4}, torch::kFloat64);
  const Tensor y = rotary_reference(x, angle.cos(), angle.sin());
  const Tensor turned = torch::complex(x.narrow(2, 0, 4), x.narrow(2, 4, 4)) *
                        torch::polar(torch::ones_like(angle), angle).unsqueeze(1);
  const Tensor expected = torch::cat({torch::real(turned), torch::imag(turned), x.narrow(2, 8, 2)}, 2);
  EXPECT_LT(relative_error(y, expected), 1e-12);
}

TEST(Swiglu, EqualsReference) {
  torch::manual_seed(5);
  for (const int64_t width : {1, 17, 400}) {
    const auto op = [](const auto& in) { return swiglu(in[0], in[1]); };
    const auto reference = [](const auto& in) { return swiglu_reference(in[0], in[1]); };
    expect_equal(op, reference, {torch::randn({70, width}) * 10, torch::randn({70, width})}, 1e-6);
  }
}

TEST(Swiglu, HalvesOfOneTensor) {
  torch::manual_seed(6);
  const auto op = [](const auto& in) { return swiglu_halves(in[0]); };
  const auto reference = [](const auto& in) {
    return swiglu_reference(in[0].narrow(1, 0, 17), in[0].narrow(1, 17, 17));
  };
  expect_equal(op, reference, {torch::randn({70, 34})}, 1e-6);
}

TEST(Swiglu, ExtremeGates) {
  const Tensor gate = torch::tensor({-1e4f, -100.f, 0.f, 100.f, 1e4f});
  const Tensor y = swiglu(gate, torch::ones({5}));
  EXPECT_TRUE(torch::allclose(y, torch::tensor({0.f, 0.f, 0.f, 100.f, 1e4f})));
  EXPECT_TRUE(swiglu(torch::full({1}, std::nanf("")), torch::ones({1})).isnan().all().item<bool>());
}

// torch::optim::AdamW is the independent form.
TEST(AdamW, EqualsLibTorchOverManySteps) {
  torch::manual_seed(6);
  const Tensor start = torch::randn({37, 11});
  Tensor parameter = start.clone(), first = torch::zeros_like(start), second = torch::zeros_like(start);
  Tensor by_reference = start.clone(), first2 = first.clone(), second2 = second.clone();
  Tensor theirs = start.clone().set_requires_grad(true);
  torch::optim::AdamW optimizer({theirs},
                                torch::optim::AdamWOptions(3e-3).weight_decay(0.1).betas({0.9, 0.98}));
  for (int64_t step = 1; step <= 50; ++step) {
    const Tensor gradient = torch::randn_like(start) * (step % 5 == 0 ? 1e-6 : 1.0);
    theirs.mutable_grad() = gradient * 0.5;
    optimizer.step();
    const AdamWStep options = {
        .lr = 3e-3, .beta2 = 0.98, .weight_decay = 0.1, .step = step, .grad_scale = torch::tensor(0.5f)};
    std::vector<AdamWSlot> slots = {{parameter, {}, gradient, first, second}};
    adamw_(slots, options);
    std::vector<AdamWSlot> plain = {{by_reference, {}, gradient, first2, second2}};
    adamw_reference_(plain, options);
  }
  EXPECT_LT(relative_error(parameter, theirs.detach()), 1e-6);
  EXPECT_LT(relative_error(by_reference, theirs.detach()), 1e-6);
}

TEST(GlobalNorm, CountsUndefinedAsZeroAndKeepsDouble) {
  torch::manual_seed(7);
  const std::vector<Tensor> grads = {torch::randn({100, 1000}), Tensor(), torch::randn({3}, torch::kFloat64),
                                     torch::empty({0}), torch::randn({50, 60}).t()};
  double expected = 0;
  for (const Tensor& g : grads)
    if (g.defined()) expected += g.to(torch::kFloat64).pow(2).sum().item<double>();
  EXPECT_NEAR(global_norm(grads).item<double>(), std::sqrt(expected), 1e-9 * std::sqrt(expected));
  EXPECT_EQ(global_norm({}).item<double>(), 0);
  const std::vector<Tensor> large = {torch::full({10}, 3e38f)};
  EXPECT_NEAR(global_norm(large).item<double>(), 3e38 * std::sqrt(10.0), 1e33);
}

// An update of 1e-6 is below what bfloat16 can add to 1; the master keeps it.
TEST(AdamW, SmallUpdatesOfANarrowParameterAddUp) {
  const Tensor start = torch::ones({100});
  Tensor master = start.clone(), first = torch::zeros_like(start), second = torch::zeros_like(start);
  Tensor wide = start.clone(), first2 = first.clone(), second2 = second.clone();
  Tensor narrow = start.to(torch::kBFloat16);
  for (int64_t step = 1; step <= 5000; ++step) {
    const AdamWStep options = {.lr = 1e-6, .weight_decay = 0, .step = step};
    const Tensor gradient = torch::ones({100}, torch::kBFloat16);
    std::vector<AdamWSlot> slots = {{narrow, master, gradient, first, second},
                                    {wide, {}, gradient.to(torch::kFloat32), first2, second2}};
    adamw_(slots, options);
  }
  EXPECT_TRUE(torch::equal(master, wide));
  EXPECT_NEAR(master[0].item<double>(), 1 - 5000e-6, 2e-4);
  EXPECT_TRUE(torch::equal(narrow, master.to(torch::kBFloat16)));
  EXPECT_LT(narrow[0].item<float>(), 1);
}

TEST(AdamW, AGradientThatIsNotFiniteChangesNothing) {
  for (const float bad : {std::nanf(""), INFINITY}) {
    const Tensor gradient = torch::tensor({1.f, bad});
    const std::vector<Tensor> gradients = {gradient};
    for (const double limit : {0.0, 1.0}) {
      Tensor parameter = torch::ones({2}), first = torch::zeros({2}), second = torch::zeros({2});
      std::vector<AdamWSlot> slots = {{parameter, {}, gradient, first, second}};
      adamw_(slots, {.grad_scale = clip_scale(global_norm(gradients), limit)});
      EXPECT_TRUE(torch::equal(parameter, torch::ones({2})));
      EXPECT_TRUE(torch::equal(first, torch::zeros({2})));
    }
  }
}

TEST(ClipScale, ScalesDownToTheLimit) {
  EXPECT_EQ(clip_scale(torch::tensor(0.5, torch::kFloat64), 1).item<double>(), 1);
  EXPECT_NEAR(clip_scale(torch::tensor(4.0, torch::kFloat64), 1).item<double>(), 0.25, 1e-6);
  EXPECT_EQ(clip_scale(torch::tensor(4.0, torch::kFloat64), 0).item<double>(), 1);
}

}  // namespace
}  // namespace dmoerm::ops
