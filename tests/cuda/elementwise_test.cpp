// The element-wise ops on a GPU against their plain forms in float64 on the CPU.
#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/linear_cross_entropy.h"
#include "dmoerm/ops/moe_dispatch.h"
#include "dmoerm/ops/ranking_loss.h"
#include "dmoerm/ops/rotary.h"
#include "dmoerm/ops/row_dropout.h"
#include "dmoerm/ops/swiglu.h"
#include "tests/ops/testing.h"

namespace dmoerm::ops {
namespace {

class CudaElementwise : public testing::Test {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU";
    torch::manual_seed(1);
  }
};

using Op = std::function<Tensor(const std::vector<Tensor>&)>;

// Inputs rounded to `type`, in float64: what both sides start from.
std::vector<Tensor> rounded(const std::vector<Tensor>& inputs, torch::ScalarType type) {
  std::vector<Tensor> result;
  for (const Tensor& x : inputs) result.push_back(x.to(type).to(torch::kFloat64));
  return result;
}

// Values and gradients; the error is relative to the largest value.
void expect_equal(const Op& op, const Op& reference, const std::vector<Tensor>& inputs,
                  torch::ScalarType type, double tolerance, const std::string& what) {
  const std::vector<Tensor> exact_in = as_leaves(rounded(inputs, type));
  std::vector<Tensor> in;
  for (const Tensor& x : exact_in) in.push_back(x.detach().to(torch::kCUDA, type).set_requires_grad(true));
  const Tensor expected = reference(exact_in), actual = op(in);
  EXPECT_EQ(actual.scalar_type(), type) << what;
  EXPECT_LT(relative_error(actual.detach().cpu(), expected.detach()), tolerance) << what;
  const Tensor direction = torch::randn_like(expected).to(type).to(torch::kFloat64);
  const auto expected_grads = gradients(expected, direction, exact_in);
  const auto actual_grads = gradients(actual, direction.to(torch::kCUDA, type), in);
  for (size_t i = 0; i < in.size(); ++i)
    EXPECT_LT(relative_error(actual_grads[i].cpu(), expected_grads[i]), tolerance)
        << what << " gradient " << i;
}

const std::pair<torch::ScalarType, double> kTypes[] = {
    {torch::kFloat32, 1e-5}, {torch::kBFloat16, 2e-2}, {torch::kFloat16, 3e-3}};

TEST_F(CudaElementwise, RmsNorm) {
  for (const auto& [type, tolerance] : kTypes)
    for (const int64_t width : {1, 7, 64, 128, 1024, 1030, 1032, 2048, 5504, 16384})
      for (const int64_t rows : {1, 3, 300}) {
        const auto what = fmt::format("{} {}x{}", c10::toString(type), rows, width);
        const std::vector<Tensor> inputs = {torch::randn({rows, width}), torch::randn({rows, width}),
                                            torch::randn({width})};
        expect_equal([](const auto& in) { return rms_norm(in[0], in[2], 1e-5) + 0 * in[1]; },
                     [](const auto& in) { return rms_norm_reference(in[0], in[2], 1e-5) + 0 * in[1]; },
                     inputs, type, tolerance, "norm " + what);
        // The sum is rounded before it is normed.
        const auto sum = [type = type](const Tensor& a, const Tensor& b) {
          const Tensor exact = a + b;
          return exact + (exact.detach().to(type).to(exact.scalar_type()) - exact.detach());
        };
        expect_equal(
            [](const auto& in) {
              const NormedSum both = add_rms_norm(in[0], in[1], in[2], 1e-5);
              return torch::cat({both.sum_TD, both.normed_TD});
            },
            [&](const auto& in) {
              const Tensor x = sum(in[0], in[1]);
              return torch::cat({x, rms_norm_reference(x, in[2], 1e-5)});
            },
            inputs, type, tolerance, "sum and norm " + what);
      }
}

TEST_F(CudaElementwise, RmsNormOfManyRows) {
  for (const int64_t width : {128, 2048}) {
    const std::vector<Tensor> inputs = {torch::randn({5000, width}), torch::randn({width})};
    expect_equal([](const auto& in) { return rms_norm(in[0], in[1], 1e-6); },
                 [](const auto& in) { return rms_norm_reference(in[0], in[1], 1e-6); }, inputs,
                 torch::kFloat32, 2e-5, fmt::format("width {}", width));
  }
}

TEST_F(CudaElementwise, RmsNormOfHeadsAndViewsAndWithAFloatWeight) {
  const Tensor wide = torch::randn({50, 4, 96}, torch::kCUDA).to(torch::kBFloat16);
  Tensor x = wide.narrow(2, 8, 64).detach().set_requires_grad(true);
  const Tensor weight = torch::rand({64}, torch::kCUDA);
  const Tensor y = rms_norm(x, weight, 1e-6);
  EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
  EXPECT_LT(relative_error(y.detach().cpu(), rms_norm_reference(x.detach().cpu(), weight.cpu(), 1e-6)), 1e-2);
  y.sum().backward();
  EXPECT_EQ(x.grad().sizes(), x.sizes());
  const Tensor rows = wide.view({50, 384}).narrow(1, 128, 128), w = torch::rand({128}, torch::kCUDA);
  EXPECT_TRUE(torch::equal(rms_norm(rows, w, 1e-6), rms_norm(rows.contiguous(), w, 1e-6)));
  EXPECT_EQ(rms_norm(rows.narrow(0, 0, 0), w, 1e-6).size(0), 0);
}

// Only one of the two results is used; a frozen weight.
TEST_F(CudaElementwise, GradientsOfPartsOfASumAndNorm) {
  Tensor x = torch::randn({9, 64}, torch::kCUDA).set_requires_grad(true);
  const Tensor delta = torch::randn({9, 64}, torch::kCUDA), weight = torch::rand({64}, torch::kCUDA);
  add_rms_norm(x, delta, weight, 1e-6).sum_TD.sum().backward();
  EXPECT_TRUE(torch::equal(x.grad(), torch::ones_like(x)));
  x.mutable_grad() = Tensor();
  add_rms_norm(x, delta, weight, 1e-6).normed_TD.square().sum().backward();
  Tensor same = x.detach().cpu().to(torch::kFloat64).set_requires_grad(true);
  rms_norm_reference(same + delta.cpu(), weight.cpu().to(torch::kFloat64), 1e-6).square().sum().backward();
  EXPECT_LT(relative_error(x.grad().cpu(), same.grad()), 1e-5);
}

TEST_F(CudaElementwise, Rotary) {
  for (const auto& [type, tolerance] : kTypes)
    for (const int64_t channels : {2, 16, 20, 64, 128})
      for (const int64_t rotated : {channels, channels / 4 * 2}) {
        if (rotated == 0) continue;
        const Tensor angles = torch::randn({9, rotated / 2}, torch::kFloat64) * 100;
        const Tensor cos = angles.cos(), sin = angles.sin();
        const Tensor cos_gpu = cos.to(torch::kCUDA, torch::kFloat32),
                     sin_gpu = sin.to(torch::kCUDA, torch::kFloat32);
        expect_equal([&](const auto& in) { return rotary(in[0], cos_gpu, sin_gpu); },
                     [&](const auto& in) { return rotary_reference(in[0], cos, sin); },
                     {torch::randn({9, 3, channels})}, type, tolerance,
                     fmt::format("{} of {}", rotated, channels));
      }
  // Queries and keys inside one product.
  const Tensor fused = torch::randn({9, 3 * 4 * 64}, torch::kCUDA).to(torch::kBFloat16);
  const Tensor angles = torch::randn({9, 32}, torch::kCUDA);
  const Tensor keys = fused.narrow(1, 4 * 64, 4 * 64).view({9, 4, 64});
  EXPECT_TRUE(torch::equal(rotary(keys, angles.cos(), angles.sin()),
                           rotary(keys.contiguous(), angles.cos(), angles.sin())));
}

TEST_F(CudaElementwise, Swiglu) {
  for (const auto& [type, tolerance] : kTypes)
    for (const int64_t width : {1, 17, 400, 5504}) {
      const auto what = fmt::format("{} {}", c10::toString(type), width);
      expect_equal([](const auto& in) { return swiglu(in[0], in[1]); },
                   [](const auto& in) { return swiglu_reference(in[0], in[1]); },
                   {torch::randn({70, width}) * 3, torch::randn({70, width})}, type, tolerance, what);
      expect_equal([](const auto& in) { return swiglu_halves(in[0]); },
                   [](const auto& in) {
                     const auto halves = in[0].chunk(2, 1);
                     return swiglu_reference(halves[0], halves[1]);
                   },
                   {torch::randn({70, 2 * width}) * 3}, type, tolerance, "halves " + what);
    }
  const Tensor gate = torch::tensor({-1e4f, -100.f, 0.f, 100.f, 1e4f}).to(torch::kCUDA).view({1, 5});
  EXPECT_TRUE(torch::allclose(swiglu(gate, torch::ones_like(gate)).cpu(),
                              torch::tensor({0.f, 0.f, 0.f, 100.f, 1e4f}).view({1, 5})));
  EXPECT_TRUE(swiglu(torch::full_like(gate, std::nanf("")), gate).isnan().all().item<bool>());
}

TEST_F(CudaElementwise, RowDropoutDrawsTheCpusMask) {
  std::vector<uint64_t> keys;
  for (uint64_t t = 0; t < 300; ++t) keys.push_back(t * 0x9e3779b97f4a7c15ull);
  for (const int64_t width : {1, 7, 64, 2048}) {
    const RowDropout dropout = {0.3, 77, keys};
    const Tensor ones = torch::ones({300, width});
    const Tensor expected = row_dropout(ones, dropout);
    EXPECT_TRUE(torch::equal(row_dropout(ones.to(torch::kCUDA), dropout).cpu(), expected)) << width;
    const RowMask mask(dropout);
    EXPECT_TRUE(torch::equal(mask.apply(ones.narrow(0, 100, 50).to(torch::kCUDA), 100).cpu(),
                             expected.narrow(0, 100, 50)));
    EXPECT_TRUE(torch::equal(mask.factors(ones.to(torch::kCUDA), 0).cpu(), expected));
    Tensor sum = torch::full({300, width}, 2.f).to(torch::kCUDA);
    mask.add_to(sum, ones.to(torch::kCUDA), 0);
    EXPECT_TRUE(torch::equal(sum.cpu(), expected + 2));
    const Tensor half = row_dropout(ones.to(torch::kCUDA, torch::kBFloat16), dropout);
    EXPECT_TRUE(torch::equal((half != 0).cpu(), expected != 0));
  }
}

TEST_F(CudaElementwise, AMaskServesSeveralDevices) {
  const std::vector<uint64_t> keys = {3, 1u << 31, 77};
  const RowMask mask({0.4, 5, keys});
  const Tensor ones = torch::ones({3, 40}, torch::kFloat64), expected = mask.factors(ones, 0);
  EXPECT_TRUE(
      torch::allclose(mask.apply(torch::ones({3, 40}, torch::kCUDA), 0).cpu().to(torch::kFloat64), expected));
  EXPECT_TRUE(torch::allclose(mask.apply(ones, 0), expected));
  EXPECT_TRUE(torch::allclose(mask.factors(ones.to(torch::kCUDA), 0).cpu(), expected));
}

// The fused form is the two steps, to the bit.
TEST_F(CudaElementwise, SumAndNormInOnePassAreTheTwoSteps) {
  for (const auto& [type, tolerance] : kTypes)
    for (const int64_t width : {7, 128, 2048}) {
      const Tensor x = torch::randn({300, width}, torch::kCUDA).to(type), delta = torch::randn_like(x);
      const Tensor weight = torch::randn({width}, torch::kCUDA).to(type);
      const NormedSum both = add_rms_norm(x, delta, weight, 1e-6);
      EXPECT_TRUE(torch::equal(both.sum_TD, x + delta)) << width;
      EXPECT_TRUE(torch::equal(both.normed_TD, rms_norm(x + delta, weight, 1e-6))) << width;
    }
}

TEST_F(CudaElementwise, WeightedRows) {
  for (const auto& [type, tolerance] : kTypes)
    for (const int64_t width : {1, 24, 130}) {
      const Tensor x = torch::randn({40, width}).to(type), weight = torch::rand({15, 3});
      Tensor slot = torch::randint(-1, 40, {15, 3}, torch::kInt64);
      slot[2].fill_(-1);
      Tensor expected = torch::zeros({15, width}, torch::kFloat64);
      for (int64_t t = 0; t < 15; ++t)
        for (int64_t j = 0; j < 3; ++j)
          if (const auto s = slot[t][j].item<int64_t>(); s >= 0)
            expected[t] += x[s].to(torch::kFloat64) * weight[t][j].to(torch::kFloat64);
      const Tensor actual =
          weighted_rows_cuda(x.to(torch::kCUDA), weight.to(torch::kCUDA), slot.to(torch::kCUDA));
      EXPECT_LT(relative_error(actual.cpu(), expected), tolerance);
    }
}

// Many tensors of awkward sizes and places, over several steps.
TEST_F(CudaElementwise, AdamWIsTheCpus) {
  std::vector<int64_t> sizes = {1, 2, 3, 5, 8191, 8192, 8193, 100003};
  for (int i = 0; i < 120; ++i) sizes.push_back(17 + i);
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    std::vector<AdamWSlot> gpu, cpu;
    for (const int64_t size : sizes) {
      const Tensor value = torch::randn({size});
      const bool narrow = type != torch::kFloat32;
      const auto slot = [&](torch::Device device) {
        const auto floats = torch::TensorOptions(device).dtype(torch::kFloat32);
        // One number into its buffer, so that nothing is aligned for some sizes.
        const Tensor odd = torch::zeros({size + 1}, floats).narrow(0, size % 2, size);
        odd.copy_(value);
        return AdamWSlot{narrow ? value.to(type).to(device) : odd, narrow ? odd : Tensor(), Tensor(),
                         torch::zeros({size}, floats), torch::zeros({size}, floats)};
      };
      gpu.push_back(slot(torch::kCUDA));
      cpu.push_back(slot(torch::kCPU));
    }
    for (int64_t step = 1; step <= 20; ++step) {
      for (size_t i = 0; i < sizes.size(); ++i) {
        const Tensor gradient = torch::randn({sizes[i]}).to(type) * (step % 5 == 0 ? 1e-4 : 1.0);
        cpu[i].gradient = gradient;
        gpu[i].gradient = gradient.to(torch::kCUDA);
      }
      adamw_(
          cpu,
          {.lr = 3e-3, .beta2 = 0.98, .weight_decay = 0.1, .step = step, .grad_scale = torch::tensor(0.5f)});
      adamw_(gpu, {.lr = 3e-3,
                   .beta2 = 0.98,
                   .weight_decay = 0.1,
                   .step = step,
                   .grad_scale = torch::tensor(0.5f).to(torch::kCUDA)});
    }
    for (size_t i = 0; i < sizes.size(); ++i) {
      const bool narrow = cpu[i].master.defined();
      EXPECT_LT(relative_error((narrow ? gpu[i].master : gpu[i].parameter).cpu(),
                               narrow ? cpu[i].master : cpu[i].parameter),
                2e-6)
          << sizes[i];
      EXPECT_LT(relative_error(gpu[i].parameter.cpu(), cpu[i].parameter), 1e-2) << sizes[i];
    }
  }
}

TEST_F(CudaElementwise, AdamWKeepsSmallUpdatesAndRefusesBadGradients) {
  const auto floats = torch::TensorOptions(torch::kCUDA).dtype(torch::kFloat32);
  std::vector<AdamWSlot> slots = {{torch::ones({1000}, floats).to(torch::kBFloat16),
                                   torch::ones({1000}, floats),
                                   torch::ones({1000}, floats).to(torch::kBFloat16),
                                   torch::zeros({1000}, floats), torch::zeros({1000}, floats)}};
  for (int64_t step = 1; step <= 5000; ++step) adamw_(slots, {.lr = 1e-6, .weight_decay = 0, .step = step});
  EXPECT_NEAR(slots[0].master[0].item<double>(), 1 - 5000e-6, 2e-4);
  EXPECT_LT(slots[0].parameter[0].item<float>(), 1);
  const Tensor before = slots[0].master.clone();
  slots[0].gradient = torch::full({1000}, std::nanf(""), floats);
  const std::vector<Tensor> gradients = {slots[0].gradient};
  adamw_(slots, {.lr = 1, .step = 5001, .grad_scale = clip_scale(global_norm(gradients), 1)});
  EXPECT_TRUE(torch::equal(slots[0].master, before));
}

TEST_F(CudaElementwise, GlobalNorm) {
  std::vector<Tensor> cpu = {torch::randn({100, 1000}), torch::randn({3}), torch::randn({50, 60}).t(),
                             torch::randn({100001}).narrow(0, 1, 100000).to(torch::kBFloat16)};
  for (int i = 0; i < 100; ++i) cpu.push_back(torch::randn({i + 1}));
  std::vector<Tensor> gpu;
  double expected = 0;
  for (const Tensor& x : cpu) {
    gpu.push_back(x.to(torch::kCUDA));
    expected += x.to(torch::kFloat64).pow(2).sum().item<double>();
  }
  gpu.emplace_back();
  const double norm = global_norm(gpu).item<double>();
  EXPECT_NEAR(norm, std::sqrt(expected), 1e-9 * std::sqrt(expected));
  EXPECT_EQ(global_norm(gpu).item<double>(), norm);
  EXPECT_EQ(clip_scale(global_norm(gpu), 1).device().type(), torch::kCUDA);
  EXPECT_NEAR(clip_scale(global_norm(gpu), 1).item<double>(), 1 / std::sqrt(expected), 1e-5);
}

// The same numbers give the same bits.
TEST_F(CudaElementwise, Repeats) {
  const Tensor x = torch::randn({3000, 2048}, torch::kCUDA).to(torch::kBFloat16),
               delta = torch::randn_like(x);
  std::vector<Tensor> first;
  for (int run = 0; run < 3; ++run) {
    std::vector<Tensor> in = as_leaves({x, delta, torch::ones({2048}, x.options())});
    const NormedSum both = add_rms_norm(in[0], in[1], in[2], 1e-6);
    (both.sum_TD + swiglu(both.normed_TD, both.normed_TD)).sum().backward();
    if (run == 0)
      first = {in[0].grad(), in[1].grad(), in[2].grad()};
    else
      for (int i = 0; i < 3; ++i) EXPECT_TRUE(torch::equal(in[i].grad(), first[i])) << i;
  }
}

TEST_F(CudaElementwise, RankingLoss) {
  const auto edges_of = [](int64_t rows, int64_t count) {
    return RankingEdges{torch::randint(rows, {count}, torch::kInt64),
                        torch::randint(rows, {count}, torch::kInt64), torch::rand({count}),
                        torch::rand({count}) - 0.5};
  };
  const auto on_gpu = [](const RankingEdges& edges) {
    return RankingEdges{edges.better_E.cuda(), edges.worse_E.cuda(), edges.weight_E.cuda(),
                        edges.margin_E.cuda()};
  };
  for (const auto& [rows, count] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 0}, {2, 1}, {7, 40}, {129, 1024}, {300, 5000}})
    for (const RankingLossOptions& options : {RankingLossOptions{}, RankingLossOptions{0.1, 0},
                                              RankingLossOptions{0, 0.01}, RankingLossOptions{0.2, 0.05}}) {
      const RankingEdges edges = edges_of(rows, count);
      const Tensor exact_R = (20 * torch::randn({rows}, torch::kFloat64)).requires_grad_();
      const Tensor reward_R = exact_R.detach().to(torch::kCUDA, torch::kFloat32).requires_grad_();
      const Tensor expected = ranking_loss_reference(exact_R, edges, options);
      (3 * expected).backward();
      const auto what = fmt::format("{} rows, {} edges, smoothing {}, centering {}", rows, count,
                                    options.label_smoothing, options.centering);
      std::vector<Tensor> runs;
      for (int run = 0; run < 2; ++run) {
        reward_R.mutable_grad() = Tensor();
        const Tensor actual = ranking_loss(reward_R, on_gpu(edges), options);
        (3 * actual).backward();
        EXPECT_NEAR(actual.item<double>(), expected.item<double>(), 2e-6 * std::abs(expected.item<double>()))
            << what;
        EXPECT_LT((reward_R.grad().cpu() - exact_R.grad()).norm().item<double>(),
                  2e-6 * exact_R.grad().norm().item<double>() + 1e-12)
            << what;
        runs.push_back(torch::cat({actual.detach().view({1}), reward_R.grad()}));
      }
      EXPECT_TRUE(torch::equal(runs[0], runs[1])) << what << ": a run repeats its bits";
    }
  // Rewards that are not finite are not hidden; far out nothing overflows.
  const RankingEdges pair = on_gpu({torch::tensor({0}), torch::tensor({1}), torch::ones(1), torch::zeros(1)});
  EXPECT_TRUE(std::isnan(ranking_loss(torch::tensor({NAN, 0.0f}).cuda(), pair).item<double>()));
  EXPECT_NEAR(ranking_loss(torch::tensor({-1e4f, 1e4f}).cuda(), pair).item<double>(), 2e4, 1);
}

double norm_error(const Tensor& actual, const Tensor& expected) {
  const Tensor difference = actual.cpu().to(torch::kFloat64) - expected;
  return difference.norm().item<double>() / std::max(1e-12, expected.norm().item<double>());
}

TEST_F(CudaElementwise, CrossEntropyEqualsReference) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kFloat16})
    for (const int64_t columns : {1, 8, 37, 1000, 8192})
      for (const bool with_gradient : {false, true}) {
        const Tensor start = (torch::randn({9, columns}, torch::kCUDA) * 5).to(type),
                     target = torch::randint(columns, {9}, torch::kInt64).to(torch::kCUDA);
        const Tensor logits = start.clone();
        const Tensor loss = cross_entropy_cuda(logits, target, with_gradient);
        const Tensor log_p = start.cpu().to(torch::kFloat64).log_softmax(1);
        const Tensor target_N1 = target.cpu().unsqueeze(1);
        const std::string what = fmt::format("{} columns {}", toString(type), columns);
        EXPECT_LT(relative_error(loss.cpu(), -log_p.gather(1, target_N1).squeeze(1)), 1e-5) << what;
        if (!with_gradient) {
          EXPECT_TRUE(torch::equal(logits, start)) << what;
          continue;
        }
        const Tensor expected =
            log_p.exp().scatter_add(1, target_N1, torch::full({9, 1}, -1.0, torch::kFloat64));
        const double tolerance = type == torch::kFloat32 ? 1e-6 : type == torch::kFloat16 ? 1e-3 : 5e-3;
        EXPECT_LT(relative_error(logits.cpu(), expected), tolerance) << what;
      }
}

// Rows of one part and, with the largest vocabulary, of several; one whose width takes no packs.
TEST_F(CudaElementwise, LinearCrossEntropyEqualsReference) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kFloat16})
    for (const auto& [rows, vocab] : std::vector<std::pair<int64_t, int64_t>>{
             {1, 8}, {33, 37}, {300, 8192}, {5, 151936}, {4000, 151936}}) {
      if (rows == 4000 && type != torch::kBFloat16) continue;
      torch::manual_seed(rows);
      const auto leaves = as_leaves({torch::randn({rows, 16}, torch::kCUDA).to(type),
                                     torch::randn({vocab, 16}, torch::kCUDA).to(type)});
      const Tensor target =
          torch::randint(vocab, {rows}, torch::TensorOptions(torch::kInt64).device(torch::kCUDA));
      const std::string what = fmt::format("{} rows {} vocabulary {}", toString(type), rows, vocab);
      const Tensor actual = linear_cross_entropy(leaves[0], leaves[1], target);
      const auto actual_grads = torch::autograd::grad({actual}, leaves);
      EXPECT_EQ(actual.scalar_type(), torch::kFloat32);
      // The reference keeps all logits: those of 4000 rows in float32.
      const auto exact_type = rows == 4000 ? torch::kFloat32 : torch::kFloat64;
      const auto exact = as_leaves({leaves[0].detach().to(exact_type), leaves[1].detach().to(exact_type)});
      const Tensor expected = linear_cross_entropy_reference(exact[0], exact[1], target);
      const auto expected_grads = torch::autograd::grad({expected}, exact);
      const double tolerance = type == torch::kFloat32 ? 1e-5 : type == torch::kFloat16 ? 3e-3 : 2e-2;
      EXPECT_LT(norm_error(actual.detach(), expected.detach().cpu().to(torch::kFloat64)), tolerance) << what;
      for (size_t i = 0; i < 2; ++i)
        EXPECT_LT(norm_error(actual_grads[i], expected_grads[i].cpu().to(torch::kFloat64)), tolerance)
            << what << " gradient " << i;
    }
}

// bfloat16 would round 1 / 32,704 by 0.2%, and so would rounding its gradients before as well as after.
TEST_F(CudaElementwise, AFactorOfACrossEntropyIsNotRounded) {
  const auto leaves = as_leaves({torch::randn({50, 16}, torch::kCUDA).to(torch::kBFloat16),
                                 torch::randn({37, 16}, torch::kCUDA).to(torch::kBFloat16)});
  const Tensor target = torch::randint(37, {50}, torch::kInt64).to(torch::kCUDA);
  const auto norms = [&](double factor) {
    std::vector<double> result;
    for (const Tensor& grad :
         torch::autograd::grad({linear_cross_entropy(leaves[0], leaves[1], target) * factor}, leaves))
      result.push_back(grad.to(torch::kFloat64).norm().item<double>());
    return result;
  };
  const std::vector<double> whole = norms(1), part = norms(1.0 / 32704);
  for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(part[i] * 32704 / whole[i], 1, 5e-4) << i;
}

}  // namespace
}  // namespace dmoerm::ops
