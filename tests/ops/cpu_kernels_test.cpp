// The kernels of every instruction set that this processor has (the ops themselves use only the best).
#include "dmoerm/ops/cpu_float.h"

#include <cmath>
#include <limits>

#include "dmoerm/ops/group_attention_cpu.h"
#include "testing.h"

namespace dmoerm::ops {
namespace {

class Kernels : public testing::TestWithParam<const CpuKernels*> {};

std::vector<const CpuKernels*> usable() {
  const CpuKernelList list = usable_cpu_kernels();
  return {list.kernels, list.kernels + list.count};
}
INSTANTIATE_TEST_SUITE_P(Sets, Kernels, testing::ValuesIn(usable()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_P(Kernels, ExpIsWithinTwoUnitsInTheLastPlace) {
  std::vector<float> x;
  for (double value = -87.29; value < 88.72; value += 0.00173) x.push_back(static_cast<float>(value));
  std::vector<float> y(x.size());
  GetParam()->exp(x.data(), y.data(), static_cast<int64_t>(x.size()));
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    const double unit = std::nextafter(static_cast<float>(exact), std::numeric_limits<float>::infinity()) -
                        static_cast<double>(static_cast<float>(exact));
    worst = std::max(worst, std::abs(y[i] - exact) / unit);
  }
  EXPECT_LE(worst, 2);
}

TEST_P(Kernels, ExpOfSpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float x[] = {-infinity, -1000, -88, 0, 89, 1e30f, infinity, std::nanf("")};
  float y[8];
  GetParam()->exp(x, y, 8);
  EXPECT_EQ(std::vector<float>(y, y + 7), (std::vector<float>{0, 0, 0, 1, infinity, infinity, infinity}));
  EXPECT_TRUE(std::isnan(y[7]));
}

TEST_P(Kernels, PackingPadsWithZeros) {
  const int64_t count = 19, channels = 21, stride = 50;
  const auto round_up = [&](int64_t n) {
    return (n + GetParam()->width - 1) / GetParam()->width * GetParam()->width;
  };
  std::vector<float> src(count * stride);
  for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<float>(i + 1);
  std::vector<float> rows(count * round_up(channels), -1), columns(channels * round_up(count), -1);
  GetParam()->pack_rows(src.data(), stride, count, channels, round_up(channels), rows.data());
  GetParam()->pack_columns(src.data(), stride, count, channels, round_up(count), columns.data());
  for (int64_t i = 0; i < count; ++i)
    for (int64_t c = 0; c < round_up(channels); ++c)
      EXPECT_EQ(rows[i * round_up(channels) + c], c < channels ? src[i * stride + c] : 0);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = 0; i < round_up(count); ++i)
      EXPECT_EQ(columns[c * round_up(count) + i], i < count ? src[i * stride + c] : 0);
}

TEST_P(Kernels, AttentionEqualsReference) {
  torch::manual_seed(3);
  const GroupAttentionOptions options = {
      .segments = make_table({{70, 90, 3}, {7}}), .scale = 0.3, .window = 61};
  const auto random = [](int64_t heads) { return torch::randn({170, heads, 20}); };
  const Tensor q = random(6), k = random(2), v = random(2), direction = random(6);
  const AttentionForward forward = attention_forward_cpu(q, k, v, options, true, *GetParam());
  const AttentionGradients actual = attention_backward_cpu(direction, q, k, v, forward, options, *GetParam());

  std::vector<Tensor> in;
  for (const Tensor& x : {q, k, v}) in.push_back(x.to(torch::kFloat64).set_requires_grad(true));
  const Tensor expected = group_attention_reference(in[0], in[1], in[2], options);
  const auto expected_grads = gradients(expected, direction.to(torch::kFloat64), in);
  EXPECT_LT(relative_error(forward.out_QHV, expected), 3e-6);
  EXPECT_LT(relative_error(actual.q_QHC, expected_grads[0]), 3e-6);
  EXPECT_LT(relative_error(actual.k_TGC, expected_grads[1]), 3e-6);
  EXPECT_LT(relative_error(actual.v_TGV, expected_grads[2]), 3e-6);
}

// The sets agree; the tests of the ops hold one of them against the plain forms.
TEST_P(Kernels, ElementwiseEqualsThePlainestSet) {
  const int64_t rows = 5, width = 38;
  const auto run = [&](const CpuKernels& kernels) {
    torch::manual_seed(5);
    const auto random = [&] { return torch::randn({rows, width}); };
    const Tensor x = random(), weight = torch::randn({width}), grad = random(), up = random();
    std::vector<Tensor> out;
    const auto result = [&] {
      out.push_back(torch::zeros({rows, width}));
      return out.back().data_ptr<float>();
    };
    const auto data = [](const Tensor& tensor) { return tensor.data_ptr<float>(); };
    const Tensor rms = torch::empty({rows}), angle = torch::randn({rows, 9}), cos = angle.cos(),
                 sin = angle.sin();
    kernels.rms_norm_forward(data(x), data(weight), result(), data(rms), rows, width, 1e-5f);
    float* const grad_x = result();
    kernels.rms_norm_backward(data(x), data(weight), data(rms), data(grad), grad_x, result(), rows, width);
    kernels.rotary(data(x), data(cos), data(sin), result(), rows, 2, 19, 9, 1);
    kernels.swiglu_forward(data(x), data(up), result(), rows * width);
    float* const grad_gate = result();
    kernels.swiglu_backward(data(x), data(up), data(grad), grad_gate, result(), rows * width);
    float *const first = result(), *const second = result();
    const AdamWConstants constants = {0.99f, 0.9f, 0.1f, 0.99f, 0.01f, 1e-3f, 3, 1e-8f, 2};
    kernels.adamw(data(x), data(grad), first, second, rows * width, constants);
    out.push_back(x);
    const std::vector<uint64_t> keys = {1, 1ull << 40, 3, 4, 5};
    kernels.row_dropout(data(x), result(), keys.data(), rows, width, 1u << 31, 2, false);
    out.push_back(torch::tensor({kernels.sum_of_squares(data(x), rows * width)}, torch::kFloat64));
    return out;
  };
  const auto expected = run(*usable().front()), actual = run(*GetParam());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_LT(relative_error(actual[i], expected[i]), 1e-6) << i;
}

// In bfloat16 they give the float32 result of the same numbers, rounded as LibTorch rounds.
TEST_P(Kernels, Bfloat16IsFloat32Rounded) {
  const CpuKernels& kernels = *GetParam();
  const int64_t rows = 5, width = 38, k = 3;
  torch::manual_seed(6);
  const auto half = [](const Tensor& x) { return x.to(torch::kBFloat16); };
  const auto zeros = [&] { return torch::zeros({rows, width}, torch::kBFloat16); };
  const auto wide = [](const Tensor& x) { return x.to(torch::kFloat32); };
  const auto data = [](const Tensor& x) { return x.data_ptr<float>(); };
  const Tensor gate = half(torch::randn({rows, width}) * 5), up = half(torch::randn({rows, width})),
               grad = half(torch::randn({rows, width}));
  const Tensor wide_gate = wide(gate), wide_up = wide(up), wide_grad = wide(grad);
  const Tensor y = zeros(), grad_gate = zeros(), grad_up = zeros();
  const Tensor expected = torch::empty({rows, width}), expected_gate = torch::empty({rows, width}),
               expected_up = torch::empty({rows, width});
  kernels.swiglu_forward_bfloat16(bfloat16_data(gate), bfloat16_data(up), bfloat16_data(y), rows * width);
  kernels.swiglu_forward(data(wide_gate), data(wide_up), data(expected), rows * width);
  EXPECT_TRUE(torch::equal(y, half(expected)));
  kernels.swiglu_backward_bfloat16(bfloat16_data(gate), bfloat16_data(up), bfloat16_data(grad),
                                   bfloat16_data(grad_gate), bfloat16_data(grad_up), rows * width);
  kernels.swiglu_backward(data(wide_gate), data(wide_up), data(wide_grad), data(expected_gate),
                          data(expected_up), rows * width);
  EXPECT_TRUE(torch::equal(grad_gate, half(expected_gate)));
  EXPECT_TRUE(torch::equal(grad_up, half(expected_up)));

  const std::vector<int64_t> slots = {0, 1, 2, -1, 4, 0, 3, 3, 3, -1, -1, -1, 4, -1, 1};
  const Tensor weights = torch::rand({rows, k});
  kernels.weighted_rows_bfloat16(bfloat16_data(gate), slots.data(), data(weights), bfloat16_data(y), rows, k,
                                 width);
  kernels.weighted_rows(data(wide_gate), slots.data(), data(weights), data(expected), rows, k, width);
  EXPECT_TRUE(torch::equal(y, half(expected)));
}

TEST_P(Kernels, Bfloat16RoundsToNearestEvenAndKeepsWhatIsNotFinite) {
  // One times each number, through the weighted sum: exact ties, overflow, infinities, NaN.
  const Tensor weight = torch::tensor({1.00390625f, 1.01171875f, -1.00390625f, 3.4e38f, 1.f, 1e-40f});
  const Tensor one = torch::ones({1, 1}, torch::kBFloat16), y = torch::zeros({6, 1}, torch::kBFloat16);
  const std::vector<int64_t> slots(6, 0);
  GetParam()->weighted_rows_bfloat16(bfloat16_data(one), slots.data(), weight.data_ptr<float>(),
                                     bfloat16_data(y), 6, 1, 1);
  EXPECT_TRUE(torch::equal(y.flatten(), weight.to(torch::kBFloat16)));
  EXPECT_EQ(y[0].item<float>(), 1.f);
  EXPECT_EQ(y[1].item<float>(), 1.015625f);
  const Tensor odd = torch::tensor({std::nanf(""), INFINITY, -INFINITY}).to(torch::kBFloat16).unsqueeze(1);
  const Tensor same = torch::zeros({3, 1}, torch::kBFloat16), ones = torch::ones({3});
  const std::vector<int64_t> each = {0, 1, 2};
  GetParam()->weighted_rows_bfloat16(bfloat16_data(odd), each.data(), ones.data_ptr<float>(),
                                     bfloat16_data(same), 3, 1, 1);
  EXPECT_TRUE(same[0].isnan().item<bool>());
  EXPECT_EQ(same[1].item<float>(), INFINITY);
  EXPECT_EQ(same[2].item<float>(), -INFINITY);
}

}  // namespace
}  // namespace dmoerm::ops
