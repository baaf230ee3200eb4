// A MoE layer against its expert products alone, with balanced and with Zipf-skewed routing; with a GPU also
// there, forward and forward with gradients of states and weights.
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>

#include "dmoerm/nn/moe_layer.h"
#include "dmoerm/nn/routing_trace.h"
#include "dmoerm/ops/grouped_linear.h"
#include "measure.h"

namespace dmoerm::bench {
namespace {

struct MoeShape {
  int64_t rows = 1024, width = 1024, expert_width = 384, experts = 32, top_k = 4;
  torch::TensorOptions tensor = torch::kFloat32;
};

nn::DecoderConfig moe_decoder(const MoeShape& shape) {
  nn::DecoderConfig config;
  config.hidden_size = shape.width;
  config.num_layers = 1;
  config.num_heads = config.num_kv_heads = 2;
  config.head_dim = shape.width / 2;
  config.moe.emplace();
  config.moe->router = {shape.experts, shape.top_k, nn::RouterScore::Softmax, true};
  config.moe->intermediate_size = shape.expert_width;
  return config;
}

// Without skew all experts are alike; with it the popularity of the e-th falls as 1 / e.
NamedTensors moe_weights(const MoeShape& shape, bool skewed) {
  Tensor router = torch::randn({shape.experts, shape.width}) / std::sqrt(shape.width);
  for (int64_t e = 0; e < shape.experts && skewed; ++e)
    router[e][0] = -1.5 * std::log(static_cast<double>(e + 1));
  NamedTensors weights;
  weights["layers.0.mlp.gate.weight"] = router.to(shape.tensor);
  weights["layers.0.mlp.experts.gate_up_proj"] =
      torch::randn({shape.experts, 2 * shape.expert_width, shape.width}, shape.tensor) * 0.02;
  weights["layers.0.mlp.experts.down_proj"] =
      torch::randn({shape.experts, shape.width, shape.expert_width}, shape.tensor) * 0.02;
  return weights;
}

nn::Batch one_sequence(const MoeShape& shape) {
  const std::vector<int32_t> tokens(shape.rows, 1);
  const std::vector<data::PackItem> items = {{tokens, 0, -1}};
  return nn::to_device(data::pack(items), shape.tensor.device());
}

// The products of all experts on rows that are sorted already: on the CPU into tensors that exist already, on
// a GPU grouped.
class ProductsAlone {
 public:
  ProductsAlone(const NamedTensors& weights, const ops::GroupOffsets& offsets, const Tensor& x_ND,
                bool backward)
      : offsets_(offsets),
        gate_up_(weights.at("layers.0.mlp.experts.gate_up_proj")),
        down_(weights.at("layers.0.mlp.experts.down_proj")),
        x_ND_(x_ND.detach().set_requires_grad(backward)),
        h_NF_(torch::empty({x_ND.size(0), gate_up_.size(1)}, x_ND.options())),
        y_ND_(torch::ones_like(x_ND)),
        a_NF_(torch::randn({x_ND.size(0), down_.size(2)}, x_ND.options()).set_requires_grad(backward)) {
    h_NF_.fill_(1);
  }

  void run() const {
    if (!x_ND_.is_cuda()) return run_on_cpu();
    run_grouped(x_ND_, gate_up_, h_NF_);
    run_grouped(a_NF_, down_, y_ND_);
  }

 private:
  void run_on_cpu() const {
    const std::vector<int64_t>& offsets = offsets_.host();
    for (int64_t e = 0; e < gate_up_.size(0); ++e) {
      const int64_t begin = offsets[e], count = offsets[e + 1] - begin;
      if (count == 0) continue;
      Tensor h = h_NF_.narrow(0, begin, count), y = y_ND_.narrow(0, begin, count);
      torch::mm_out(h, x_ND_.narrow(0, begin, count), gate_up_[e].t());
      torch::mm_out(y, a_NF_.narrow(0, begin, count), down_[e].t());
    }
  }

  void run_grouped(const Tensor& x, const Tensor& weight, const Tensor& direction) const {
    const Tensor y = ops::grouped_linear(x, weight, {}, offsets_);
    if (y.requires_grad()) torch::autograd::grad({y}, {x, weight}, {direction});
  }

  ops::GroupOffsets offsets_;
  Tensor gate_up_, down_, x_ND_, h_NF_, y_ND_, a_NF_;
};

// Seconds of `work`. On a GPU the mean of several in a row, as a model has layers: the host queues ahead.
double seconds_of(const Tensor& x, const std::function<void()>& work) {
  const int times = x.is_cuda() ? 8 : 1;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) work();
  if (x.is_cuda()) torch::cuda::synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / times;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Both in turn, so that what else the machine does falls on both; the ratio of the medians.
void moe_layer(benchmark::State& state, const MoeShape& shape, bool skewed, bool backward) {
  const torch::AutoGradMode mode(backward);
  const nn::DecoderConfig config = moe_decoder(shape);
  const NamedTensors weights = moe_weights(shape, skewed);
  std::vector<Tensor> leaves;
  for (const auto& [name, weight] : weights) leaves.push_back(weight.set_requires_grad(backward));
  const nn::Batch batch = one_sequence(shape);
  const Tensor frequencies = torch::zeros({config.head_dim / 2}, batch.tokens_T.device());
  nn::RoutingTrace trace;
  const nn::ForwardPass recorded(config, weights, frequencies, batch, nullptr, {&trace});
  const nn::ForwardPass pass(config, weights, frequencies, batch, nullptr);
  Tensor x_TD = torch::randn({shape.rows, shape.width}, shape.tensor);
  x_TD.select(1, 0).fill_(1);
  x_TD.set_requires_grad(backward);
  leaves.push_back(x_TD);
  const Tensor direction = torch::ones_like(nn::moe_layer(recorded, 0, x_TD, recorded.all_rows()));
  const ops::Dispatch plan = ops::dispatch(trace.layers[0].routing.expert_Tk, shape.experts);
  trace.layers.clear();
  const ProductsAlone products_alone(weights, plan.offsets, ops::gather_rows(x_TD, plan), backward);
  const auto run_layer = [&] {
    const Tensor y_TD = nn::moe_layer(pass, 0, x_TD, pass.all_rows());
    if (backward) torch::autograd::grad({y_TD}, leaves, {direction});
  };
  run_layer();
  products_alone.run();

  std::vector<double> layer, products;
  for (auto _ : state) {
    products.push_back(seconds_of(x_TD, [&] { products_alone.run(); }));
    layer.push_back(seconds_of(x_TD, run_layer));
    state.SetIterationTime(layer.back());
  }
  const std::vector<int64_t>& offsets = plan.offsets.host();
  int64_t largest = 0;
  for (int64_t e = 0; e < shape.experts; ++e) largest = std::max(largest, offsets[e + 1] - offsets[e]);
  const auto assignments = static_cast<double>(offsets.back());
  state.counters["FLOP/s"] = rate(2.0 * 3 * static_cast<double>(shape.width * shape.expert_width) *
                                  assignments * (backward ? 3 : 1));
  state.counters["ratio"] = median(layer) / median(products);
  state.counters["products_ms"] = median(products) * 1e3;
  state.counters["largest_over_mean"] = static_cast<double>(largest * shape.experts) / assignments;
}

void register_moe(const char* name, const MoeShape& shape, bool skewed, bool backward = false) {
  benchmark::RegisterBenchmark(name,
                               [=](benchmark::State& state) { moe_layer(state, shape, skewed, backward); })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

void register_all() {
  const MoeShape small, small_half = {.tensor = torch::kBFloat16};
  register_moe("moe_layer/balanced", small, false);
  register_moe("moe_layer/zipf", small, true);
  register_moe("moe_layer/balanced_bfloat16", small_half, false);
  register_moe("moe_layer/zipf_bfloat16", small_half, true);
  if (!torch::cuda::is_available()) return;
  const MoeShape large = {16384, 2048, 1408, 64, 6, torch::dtype(torch::kBFloat16).device(torch::kCUDA)};
  register_moe("moe_layer/cuda_balanced", large, false);
  register_moe("moe_layer/cuda_zipf", large, true);
  register_moe("moe_layer/cuda_balanced_train", large, false, true);
  register_moe("moe_layer/cuda_zipf_train", large, true, true);
}

const bool registered = (register_all(), true);

}  // namespace
}  // namespace dmoerm::bench
