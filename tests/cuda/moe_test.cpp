// MoE layers and the experts' low-rank products on CUDA, against the CPU: in float64 where an op has a
// reference, which sees the same (rounded) inputs.
#include <cmath>
#include <limits>

#include "dmoerm/nn/moe_layer.h"
#include "dmoerm/nn/rotary_frequencies.h"
#include "dmoerm/ops/expert_linear.h"
#include "dmoerm/ops/float32_linear.h"
#include "tests/cuda/moe_testing.h"
#include "tests/nn/tiny_moe.h"

namespace dmoerm {
namespace {

TEST_F(CudaMoe, GatherAndCombineEqualReference) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kFloat16})
    for (const int64_t width : {8, 37, 64, 2048})
      for (const int64_t capacity : {0, 40}) {
        torch::manual_seed(2);
        const int64_t rows = 300;
        const Tensor expert_Tk = std::get<1>(torch::rand({rows, 9}).topk(3, 1));
        const ops::Dispatch host_plan = ops::dispatch(expert_Tk, 9, {capacity, {}});
        const ops::Dispatch plan = ops::dispatch(expert_Tk.to(torch::kCUDA), 9, {capacity, {}});
        const auto leaves = ops::as_leaves(
            {torch::randn({rows, width}, torch::kCUDA).to(type), torch::rand({rows, 3}, torch::kCUDA)});
        const auto exact = ops::as_leaves(
            {leaves[0].detach().cpu().to(torch::kFloat64), leaves[1].detach().cpu().to(torch::kFloat64)});
        const Tensor expected = ops::combine_rows_reference(
            ops::gather_rows_reference(exact[0], host_plan).sin(), exact[1], host_plan);
        const Tensor actual = ops::combine_rows(ops::gather_rows(leaves[0], plan).sin(), leaves[1], plan);
        const Tensor direction = torch::randn({rows, width}).to(type);
        const auto expected_grads = ops::gradients(expected, direction.to(torch::kFloat64), exact);
        const auto actual_grads = ops::gradients(actual, direction.to(torch::kCUDA), leaves);
        const std::string what = fmt::format("{} width {} capacity {}", toString(type), width, capacity);
        EXPECT_EQ(actual.scalar_type(), type) << what;
        EXPECT_LT(ops::relative_error(actual.cpu(), expected), tolerance_of(type)) << what;
        EXPECT_LT(ops::relative_error(actual_grads[0].cpu(), expected_grads[0]), tolerance_of(type))
            << what << ", gradient of x";
        EXPECT_LT(ops::relative_error(actual_grads[1].cpu(), expected_grads[1]), tolerance_of(type))
            << what << ", gradient of the weights";
      }
}

// Rows of groups of very unequal sizes, some empty; updates that differ in rank, rows and outputs.
struct Grouped {
  std::vector<int64_t> offsets;
  Tensor x, weight, bias;
  std::vector<ops::LowRankUpdate> updates;
  std::vector<uint64_t> row_keys;

  std::vector<Tensor> leaves() const {
    std::vector<Tensor> all = {x, weight};
    if (bias.defined()) all.push_back(bias);
    for (const ops::LowRankUpdate& update : updates) all.insert(all.end(), {update.pair.a, update.pair.b});
    return all;
  }
};

struct Shape {
  std::vector<int64_t> offsets;
  int64_t in, out;
  bool with_bias = false, with_updates = false;
};

void PrintTo(const Shape& s, std::ostream* out) {
  *out << fmt::format("{} groups, {} rows, {} to {}{}{}", s.offsets.size() - 1, s.offsets.back(), s.in, s.out,
                      s.with_bias ? ", bias" : "", s.with_updates ? ", updates" : "");
}

Grouped grouped_problem(const Shape& shape, torch::ScalarType type) {
  torch::manual_seed(3);
  const int64_t groups = static_cast<int64_t>(shape.offsets.size()) - 1, rows = shape.offsets.back();
  const auto leaf = [&](torch::IntArrayRef sizes, double scale, torch::ScalarType as) {
    return (torch::randn(sizes) * scale).to(as).to(torch::kCUDA).set_requires_grad(true);
  };
  const double scale = 1 / std::sqrt(static_cast<double>(shape.in));
  Grouped p;
  p.offsets = shape.offsets;
  p.x = leaf({rows, shape.in}, 1, type);
  p.weight = leaf({groups, shape.out, shape.in}, scale, type);
  if (shape.with_bias) p.bias = leaf({groups, shape.out}, 1, type);
  for (int64_t row = 0; row < rows; ++row) p.row_keys.push_back(row * row + 5);
  if (!shape.with_updates) return p;
  const int64_t half = shape.out / 2;
  const auto pair = [&](int64_t rank, int64_t out, double factor) {
    return ops::LoraPair{leaf({rank, shape.in}, scale, torch::kFloat32),
                         leaf({out, rank}, 0.5, torch::kFloat32), factor};
  };
  p.updates = {{pair(8, shape.out, 0.5), 1, rows / 3, 0},
               {pair(3, half, -2), rows / 2, rows / 4, 0},
               {pair(32, shape.out - half, 1.5), rows / 2, rows - rows / 2, half},
               {pair(4, half, 1), rows, 0, 0}};
  return p;
}

Grouped exact_copy(const Grouped& p) {
  const auto exact = [](const Tensor& x) {
    return x.detach().cpu().to(torch::kFloat64).set_requires_grad(true);
  };
  Grouped copy = p;
  copy.x = exact(p.x);
  copy.weight = exact(p.weight);
  if (p.bias.defined()) copy.bias = exact(p.bias);
  for (ops::LowRankUpdate& update : copy.updates) {
    update.pair.a = exact(update.pair.a);
    update.pair.b = exact(update.pair.b);
  }
  return copy;
}

void expect_equals_reference(const Shape& shape, torch::ScalarType type, double dropout) {
  SCOPED_TRACE(fmt::format("{} dropout {}", toString(type), dropout));
  Grouped problem = grouped_problem(shape, type);
  Grouped exact = exact_copy(problem);
  for (Grouped* p : {&problem, &exact})
    if (!p->updates.empty()) p->updates.pop_back();  // has no rows, and so no gradient in the reference
  const auto run = [&](auto op, const Grouped& p) {
    return op(p.x, p.weight, p.bias, p.offsets, p.updates, ops::RowDropout{dropout, 5, p.row_keys});
  };
  const Tensor expected = run(ops::grouped_linear_reference, exact),
               actual = run(ops::grouped_linear, problem);
  EXPECT_EQ(actual.scalar_type(), type);
  EXPECT_LT(ops::relative_error(actual.cpu(), expected), tolerance_of(type)) << "output";
  const Tensor direction = torch::randn(expected.sizes()).to(type);
  const auto expected_grads = ops::gradients(expected, direction.to(torch::kFloat64), exact.leaves());
  const auto actual_grads = ops::gradients(actual, direction.to(torch::kCUDA), problem.leaves());
  for (size_t i = 0; i < actual_grads.size(); ++i) {
    EXPECT_EQ(actual_grads[i].scalar_type(), problem.leaves()[i].scalar_type()) << "gradient " << i;
    EXPECT_LT(ops::relative_error(actual_grads[i].cpu(), expected_grads[i]), tolerance_of(type))
        << "gradient " << i;
  }
}

class CudaGroupedLinear : public CudaMoe, public testing::WithParamInterface<Shape> {};

TEST_P(CudaGroupedLinear, EqualsReferenceForwardAndBackward) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kFloat16})
    for (const double dropout : {0.0, 0.3})
      if (dropout == 0 || GetParam().with_updates) expect_equals_reference(GetParam(), type, dropout);
}

const std::vector<int64_t> kUneven = {0, 1, 1, 40, 300, 300, 307, 500, 500};
INSTANTIATE_TEST_SUITE_P(Shapes, CudaGroupedLinear,
                         testing::Values(Shape{kUneven, 64, 96}, Shape{kUneven, 8, 8},
                                         Shape{kUneven, 256, 128, false, true},
                                         Shape{kUneven, 64, 96, true, true},   // a bias: group by group
                                         Shape{kUneven, 60, 44, false, true},  // not aligned
                                         Shape{{0, 333}, 64, 48, true, true},  // one group: experts of a base
                                         Shape{{0, 333}, 512, 256, false, true},
                                         Shape{{0, 0, 0, 128}, 64, 64}, Shape{{0, 128, 128}, 64, 64},
                                         Shape{std::vector<int64_t>(5, 0), 64, 64}));

TEST_F(CudaMoe, GroupedLinearNeverWaits) {
  for (const bool with_updates : {false, true})
    for (const double dropout : {0.0, 0.1}) {
      const Grouped p = grouped_problem({kUneven, 64, 96, false, with_updates}, torch::kBFloat16);
      const std::vector<int32_t> ends(p.offsets.begin() + 1, p.offsets.end());
      const Tensor end_E = torch::tensor(ends, torch::kInt32).to(torch::kCUDA);
      const ops::GroupOffsets offsets{end_E};
      std::vector<Tensor> leaves = p.leaves();
      if (with_updates) leaves.resize(leaves.size() - 2);  // the update without rows
      const Tensor direction = torch::ones({500, 96}, p.x.options());
      expect_no_wait(
          [&] {
            ops::gradients(
                ops::grouped_linear(p.x, p.weight, {}, offsets, p.updates, {dropout, 5, p.row_keys}),
                direction, leaves);
          },
          fmt::format("updates {} dropout {}", with_updates, dropout));
    }
}

TEST_F(CudaMoe, RowDropoutDrawsWhatTheHostDraws) {
  torch::manual_seed(4);
  std::vector<uint64_t> keys;
  for (uint64_t i = 0; i < 70; ++i) keys.push_back(i * 0x9e3779b97f4a7c15ull);
  for (const int64_t width : {8, 75, 128}) {
    const Tensor x = torch::rand({70, width}) + 0.5;
    const ops::RowDropout dropout = {0.25, 99, keys};
    const Tensor expected = ops::row_dropout(x, dropout);
    EXPECT_TRUE(torch::equal(ops::row_dropout(x.to(torch::kCUDA), dropout).cpu(), expected)) << width;
    const Tensor half = ops::row_dropout(x.to(torch::kCUDA).to(torch::kBFloat16), dropout).cpu();
    EXPECT_TRUE(torch::equal(half == 0, expected == 0)) << width;
    EXPECT_LT(ops::relative_error(half, expected), 1e-2) << width;
    const ops::RowMask mask(dropout);
    const Tensor sum = x.narrow(0, 10, 60).to(torch::kCUDA).clone();
    mask.add_to(sum, sum.clone(), 10);
    EXPECT_LT(ops::relative_error(sum.cpu(), (x + expected).narrow(0, 10, 60)), 1e-6) << width;
  }
}

TEST_F(CudaMoe, Float32LinearEqualsReference) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kFloat16}) {
    torch::manual_seed(7);
    const auto leaves = ops::as_leaves({torch::randn({300, 512}, torch::kCUDA).to(type),
                                        (torch::randn({13, 512}, torch::kCUDA) * 0.05).to(type)});
    const auto exact = ops::as_leaves(
        {leaves[0].detach().cpu().to(torch::kFloat64), leaves[1].detach().cpu().to(torch::kFloat64)});
    const Tensor expected = ops::float32_linear(exact[0], exact[1]);
    const Tensor actual = ops::float32_linear(leaves[0], leaves[1]);
    EXPECT_EQ(actual.scalar_type(), torch::kFloat32);
    EXPECT_LT(ops::relative_error(actual.cpu(), expected), 1e-5) << toString(type);
    const Tensor direction = torch::randn({300, 13});
    const auto expected_grads = ops::gradients(expected, direction.to(torch::kFloat64), exact);
    const auto actual_grads = ops::gradients(actual, direction.to(torch::kCUDA), leaves);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(actual_grads[i].scalar_type(), type);
      EXPECT_LT(ops::relative_error(actual_grads[i].cpu(), expected_grads[i]), tolerance_of(type))
          << toString(type) << " gradient " << i;
    }
  }
}

// Gradients whose first eight bits cancel in the sum: what bfloat16 alone would keep of them gives nothing.
TEST_F(CudaMoe, Float32LinearKeepsTheLowBitsOfItsGradient) {
  torch::manual_seed(8);
  const auto leaves = ops::as_leaves({torch::randn({200, 64}, torch::kCUDA).to(torch::kBFloat16),
                                      torch::ones({2, 64}, torch::kCUDA).to(torch::kBFloat16)});
  const Tensor low = torch::randn({200}, torch::kCUDA) * std::pow(2.0, -12);
  leaves[1].detach()[1].fill_(-1);
  const Tensor direction = torch::stack({1 + low, torch::ones_like(low)}, 1);
  const Tensor grad = ops::gradients(ops::float32_linear(leaves[0], leaves[1]), direction, leaves)[0];
  const Tensor expected = (direction.select(1, 0) - 1).unsqueeze(1).expand({200, 64});
  EXPECT_LT((grad.to(torch::kFloat32) - expected).norm().item<double>(),
            2e-2 * expected.norm().item<double>());
}

nn::ExpertSet on_gpu(nn::ExpertSet set) {
  for (nn::LoraExpert& expert : set.experts)
    for (auto& [name, pair] : expert.pairs) {
      pair.a = pair.a.detach().to(torch::kCUDA).set_requires_grad(true);
      pair.b = pair.b.detach().to(torch::kCUDA).set_requires_grad(true);
    }
  return set;
}

nn::Batch three_experts_batch(torch::Device device) {
  const auto tokens = nn::random_tokens(50, 1);
  std::vector<data::PackItem> items;
  for (int32_t expert = 0; expert < 3; ++expert) items.push_back({tokens, 0, expert});
  return nn::to_device(data::pack(items, 3), device);
}

// Layer 1 of a tiny decoder: output, the gradient of x, and those of the weights and pairs that take part.
NamedTensors run_layer(const nn::DecoderConfig& config, const NamedTensors& weights, const nn::ExpertSet* set,
                       const Tensor& x_TD, const Tensor& direction, double capacity_factor = 0) {
  const torch::Device device = x_TD.device();
  const nn::Batch batch = three_experts_batch(device);
  const Tensor frequencies = nn::rotary_frequencies(config.rotary, config.head_dim).to(device);
  nn::RoutingOptions routing;
  routing.capacity_factor = capacity_factor;
  const nn::ForwardPass pass(config, weights, frequencies, batch, set, routing);
  const Tensor x = x_TD.detach().clone().set_requires_grad(true);
  const Tensor y = nn::moe_layer(pass, 1, x, pass.all_rows());
  std::vector<std::string> names = {"x"};
  std::vector<Tensor> leaves = {x};
  const auto add = [&](const std::string& name, const Tensor& leaf) {
    if (!leaf.requires_grad()) return;
    names.push_back(name);
    leaves.push_back(leaf);
  };
  for (const auto& [name, weight] : weights)
    if (name.starts_with("layers.1.mlp.")) add(name, weight);
  for (size_t e = 0; set != nullptr && e < set->experts.size(); ++e)
    for (const auto& [name, pair] : set->experts[e].pairs)
      if (name.starts_with("layers.1.mlp.")) {
        add(fmt::format("expert {} {} a", e, name), pair.a);
        add(fmt::format("expert {} {} b", e, name), pair.b);
      }
  const auto grads = torch::autograd::grad({y}, leaves, {direction.to(y)}, {}, false, /*allow_unused=*/true);
  NamedTensors results = {{"y", y.detach()}};
  for (size_t i = 0; i < names.size(); ++i)
    results[names[i]] = grads[i].defined() ? grads[i] : torch::zeros_like(leaves[i]);
  return results;
}

NamedTensors as_weights(const NamedTensors& weights, torch::ScalarType type, torch::Device device) {
  NamedTensors result;
  for (const auto& [name, weight] : weights) {
    result[name] = weight.detach().to(type).to(device);
    if (name.find("e_score_correction_bias") == std::string::npos) result[name].set_requires_grad(true);
  }
  return result;
}

// Of the norm, but of 1 at least: what has no rows has a gradient of zero.
void expect_near_norm(const NamedTensors& actual, const NamedTensors& expected, double tolerance,
                      const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (const auto& [name, x] : expected) {
    const Tensor exact = x.to(torch::kFloat64), other = actual.at(name).cpu().to(torch::kFloat64);
    const double error = (other - exact).norm().item<double>() / std::max(1.0, exact.norm().item<double>());
    EXPECT_LE(error, tolerance) << what << ": " << name;
  }
}

// What new tensors on the GPU hold: rows that no expert takes must reach nothing.
void fill_free_memory_with_nan() {
  torch::full({int64_t{1} << 24}, std::numeric_limits<float>::quiet_NaN(), torch::kCUDA);
}

// Without LoRA experts and with, these also with dropout, and with experts that drop what comes late.
struct LayerCase {
  bool with_experts = false;
  double dropout = 0, capacity_factor = 0;
};
const std::vector<LayerCase> kLayerCases = {
    {}, {true}, {true, 0.2}, {false, 0, 1}, {true, 0, 0.5}, {true, 0.2, 1}};

// A width of 10 is not aligned, so that groups are multiplied one by one; 16 goes through one call. In
// bfloat16 the CPU computes in float32 with the same rounded weights and states.
TEST_F(CudaMoe, LayerWithLoraExpertsEqualsTheCpu) {
  for (const auto& [name, plain_config] : nn::tiny_moe_configs())
    for (const int64_t width : {10, 16})
      for (const auto& [with_experts, dropout, capacity_factor] : kLayerCases)
        for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
          nn::DecoderConfig config = plain_config;
          config.moe->intermediate_size = width;
          const NamedTensors start = nn::tiny_decoder(config).weights();
          const NamedTensors rounded = as_weights(start, type, torch::kCPU);
          const NamedTensors host_weights = as_weights(rounded, torch::kFloat32, torch::kCPU);
          const NamedTensors weights = as_weights(rounded, type, torch::kCUDA);
          nn::ExpertSet host_set = nn::tiny_moe_experts(config);
          host_set.training = dropout > 0;
          host_set.dropout_keys = {11, 12, 13};
          for (nn::LoraExpert& expert : host_set.experts) expert.dropout = dropout;
          const nn::ExpertSet set = on_gpu(host_set);
          for (nn::LoraExpert& expert : host_set.experts)
            for (auto& [layer, pair] : expert.pairs) {
              pair.a.set_requires_grad(true);
              pair.b.set_requires_grad(true);
            }
          const int64_t rows = three_experts_batch(torch::kCPU).tokens_T.size(0), D = config.hidden_size;
          const Tensor x = nn::random_tensor("states", {rows, D}, 1).to(type),
                       direction = nn::random_tensor("direction", {rows, D}, 1).to(type);
          const NamedTensors expected =
              run_layer(config, host_weights, with_experts ? &host_set : nullptr, x.to(torch::kFloat32),
                        direction.to(torch::kFloat32), capacity_factor);
          fill_free_memory_with_nan();
          const NamedTensors actual =
              run_layer(config, weights, with_experts ? &set : nullptr, x.to(torch::kCUDA),
                        direction.to(torch::kCUDA), capacity_factor);
          expect_near_norm(actual, expected, tolerance_of(type),
                           fmt::format("{} width {} experts {} dropout {} capacity {} {}", name, width,
                                       with_experts, dropout, capacity_factor, toString(type)));
        }
}

// With LoRA experts on attention alone, as they mostly are, on the experts themselves, with and without a
// capacity.
TEST_F(CudaMoe, LayerNeverWaits) {
  for (const auto& [name, plain_config] : nn::tiny_moe_configs()) {
    nn::DecoderConfig config = plain_config;
    config.moe->intermediate_size = 16;
    const NamedTensors weights =
        as_weights(nn::tiny_decoder(config).weights(), torch::kBFloat16, torch::kCUDA);
    nn::ExpertSet attention;
    for (int e = 0; e < 3; ++e)
      attention.experts.push_back(nn::tiny_expert(config, e, 2, {"q_proj", "v_proj"}));
    attention = on_gpu(attention);
    nn::ExpertSet everywhere = on_gpu(nn::tiny_moe_experts(config));
    everywhere.training = true;
    everywhere.dropout_keys = {1, 2, 3};
    for (nn::LoraExpert& expert : everywhere.experts) expert.dropout = 0.1;
    const nn::Batch batch = three_experts_batch(torch::kCUDA);
    const Tensor frequencies = nn::rotary_frequencies(config.rotary, config.head_dim).to(torch::kCUDA);
    const std::vector<std::pair<std::string, const nn::ExpertSet*>> sets = {
        {"no experts", nullptr}, {"experts on attention", &attention}, {"experts everywhere", &everywhere}};
    for (const auto& [set_name, set] : sets)
      for (const double capacity_factor : {0.0, 1.0}) {
        nn::RoutingOptions routing;
        routing.capacity_factor = capacity_factor;
        const nn::ForwardPass pass(config, weights, frequencies, batch, set, routing);
        const Tensor x = torch::randn({batch.tokens_T.size(0), config.hidden_size}, torch::kCUDA)
                             .to(torch::kBFloat16)
                             .set_requires_grad(true);
        std::vector<Tensor> leaves = {x};
        for (const auto& [weight_name, weight] : weights)
          if (weight_name.starts_with("layers.1.mlp.") && weight.requires_grad()) leaves.push_back(weight);
        const Tensor direction = torch::ones_like(x);
        expect_no_wait(
            [&] {
              torch::autograd::grad({nn::moe_layer(pass, 1, x, pass.all_rows())}, leaves, {direction}, {},
                                    false, /*allow_unused=*/true);
            },
            fmt::format("{}, {}, capacity factor {}", name, set_name, capacity_factor));
      }
  }
}

TEST_F(CudaMoe, SameInputsGiveTheSameBits) {
  nn::DecoderConfig config = nn::tiny_moe_configs()[1].second;
  config.moe->intermediate_size = 16;
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    const NamedTensors weights = as_weights(nn::tiny_decoder(config).weights(), type, torch::kCUDA);
    const nn::ExpertSet set = on_gpu(nn::tiny_moe_experts(config));
    const int64_t rows = three_experts_batch(torch::kCPU).tokens_T.size(0);
    const Tensor x = torch::randn({rows, config.hidden_size}, torch::kCUDA).to(type);
    const NamedTensors first = run_layer(config, weights, &set, x, torch::ones_like(x));
    for (int i = 0; i < 3; ++i)
      for (const auto& [name, result] : run_layer(config, weights, &set, x, torch::ones_like(x)))
        EXPECT_TRUE(torch::equal(result, first.at(name))) << name;
  }
}

// One expert takes every row, and rows of NaN go somewhere without harm to the others.
TEST_F(CudaMoe, OneExpertTakesAllAndNanStaysInItsRow) {
  nn::DecoderConfig config = nn::tiny_moe_configs()[0].second;
  config.moe->intermediate_size = 16;
  NamedTensors weights = as_weights(nn::tiny_decoder(config).weights(), torch::kBFloat16, torch::kCUDA);
  const int64_t rows = three_experts_batch(torch::kCPU).tokens_T.size(0);
  const Tensor x = torch::rand({rows, config.hidden_size}, torch::kCUDA).to(torch::kBFloat16) + 0.1;
  const Tensor direction = torch::ones_like(x);
  Tensor router = torch::zeros_like(weights.at("layers.1.mlp.gate.weight"));
  router[2].fill_(3);
  router[0].fill_(2);
  weights["layers.1.mlp.gate.weight"] = router;
  const Tensor clean = run_layer(config, weights, nullptr, x, direction).at("y");
  EXPECT_TRUE(clean.isfinite().all().item<bool>());
  const Tensor dirty_x = x.clone();
  dirty_x[7].fill_(std::numeric_limits<float>::quiet_NaN());
  const Tensor dirty = run_layer(config, weights, nullptr, dirty_x, direction).at("y");
  EXPECT_TRUE(dirty[7].isnan().all().item<bool>());
  for (const auto& [begin, count] : {std::pair<int64_t, int64_t>(0, 7), {8, rows - 8}})
    EXPECT_LT(ops::relative_error(dirty.narrow(0, begin, count), clean.narrow(0, begin, count)), 1e-2);
}

}  // namespace
}  // namespace dmoerm
