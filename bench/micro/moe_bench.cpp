// A MoE layer's forward pass against its expert products alone, with balanced and with Zipf-skewed routing.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>

#include "dmoerm/nn/moe_layer.h"
#include "dmoerm/nn/routing_trace.h"
#include "measure.h"

namespace dmoerm::bench {
namespace {

constexpr int64_t kMoeRows = 1024, kMoeWidth = 1024, kExpertWidth = 384, kMoeExperts = 32, kTopK = 4;

nn::DecoderConfig moe_decoder() {
  nn::DecoderConfig config;
  config.hidden_size = kMoeWidth;
  config.num_layers = 1;
  config.num_heads = config.num_kv_heads = 2;
  config.head_dim = kMoeWidth / 2;
  config.moe.emplace();
  config.moe->router = {kMoeExperts, kTopK, nn::RouterScore::Softmax, true};
  config.moe->intermediate_size = kExpertWidth;
  return config;
}

// Without skew all experts are alike; with it the popularity of the e-th falls as 1 / e.
NamedTensors moe_weights(bool skewed) {
  NamedTensors weights;
  Tensor router = torch::randn({kMoeExperts, kMoeWidth}) / std::sqrt(kMoeWidth);
  for (int64_t e = 0; e < kMoeExperts && skewed; ++e)
    router[e][0] = -1.5 * std::log(static_cast<double>(e + 1));
  weights["layers.0.mlp.gate.weight"] = router;
  weights["layers.0.mlp.experts.gate_up_proj"] =
      torch::randn({kMoeExperts, 2 * kExpertWidth, kMoeWidth}) * 0.02;
  weights["layers.0.mlp.experts.down_proj"] = torch::randn({kMoeExperts, kMoeWidth, kExpertWidth}) * 0.02;
  return weights;
}

nn::Batch one_sequence() {
  const std::vector<int32_t> tokens(kMoeRows, 1);
  const std::vector<data::PackItem> items = {{tokens, 0, -1}};
  return nn::to_device(data::pack(items), torch::kCPU);
}

// The products of all experts on rows that are sorted already, into tensors that exist already.
void products_alone(const NamedTensors& weights, const std::vector<int64_t>& offsets, const Tensor& x_ND,
                    const Tensor& h_NF, const Tensor& y_ND) {
  const Tensor &gate_up = weights.at("layers.0.mlp.experts.gate_up_proj"),
               &down = weights.at("layers.0.mlp.experts.down_proj");
  for (int64_t e = 0; e < kMoeExperts; ++e) {
    const int64_t begin = offsets[e], count = offsets[e + 1] - begin;
    if (count == 0) continue;
    Tensor h = h_NF.narrow(0, begin, count), y = y_ND.narrow(0, begin, count);
    torch::mm_out(h, x_ND.narrow(0, begin, count), gate_up[e].t());
    torch::mm_out(y, h.narrow(1, 0, kExpertWidth), down[e].t());
  }
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Both in turn, so that what else the machine does falls on both; the ratio of the medians.
void moe_layer(benchmark::State& state, torch::ScalarType dtype, bool skewed) {
  torch::NoGradGuard no_grad;
  const nn::DecoderConfig config = moe_decoder();
  NamedTensors weights = moe_weights(skewed);
  for (auto& [name, weight] : weights) weight = weight.to(dtype);
  const nn::Batch batch = one_sequence();
  nn::RoutingTrace trace;
  const nn::ForwardPass recorded(config, weights, torch::zeros({kMoeWidth / 4}), batch, nullptr, {&trace});
  const nn::ForwardPass pass(config, weights, torch::zeros({kMoeWidth / 4}), batch, nullptr);
  Tensor x_TD = torch::randn({kMoeRows, kMoeWidth});
  x_TD.select(1, 0).fill_(1);
  x_TD = x_TD.to(dtype);
  nn::moe_layer(recorded, 0, x_TD, recorded.all_rows());
  const ops::Dispatch plan = ops::dispatch(trace.layers[0].routing.expert_Tk, kMoeExperts);
  const std::vector<int64_t>& offsets = plan.offsets.host();
  const Tensor x_ND = ops::gather_rows(x_TD, plan);
  const Tensor h_NF = torch::empty({x_ND.size(0), 2 * kExpertWidth}, x_ND.options());
  const Tensor y_ND = torch::empty_like(x_ND);

  std::vector<double> layer, products;
  for (auto _ : state) {
    products.push_back(seconds_of([&] { products_alone(weights, offsets, x_ND, h_NF, y_ND); }));
    layer.push_back(seconds_of([&] { nn::moe_layer(pass, 0, x_TD, pass.all_rows()); }));
    state.SetIterationTime(layer.back());
  }
  int64_t largest = 0;
  for (int64_t e = 0; e < kMoeExperts; ++e) largest = std::max(largest, offsets[e + 1] - offsets[e]);
  state.counters["FLOP/s"] = rate(2.0 * 3 * kMoeWidth * kExpertWidth * static_cast<double>(x_ND.size(0)));
  state.counters["ratio"] = median(layer) / median(products);
  state.counters["largest_over_mean"] =
      static_cast<double>(largest * kMoeExperts) / static_cast<double>(x_ND.size(0));
}

#define DMOERM_MOE_BENCH(name, ...) \
  BENCHMARK_CAPTURE(moe_layer, name, __VA_ARGS__)->UseManualTime()->Unit(benchmark::kMillisecond)
DMOERM_MOE_BENCH(balanced, torch::kFloat32, false);
DMOERM_MOE_BENCH(zipf, torch::kFloat32, true);
DMOERM_MOE_BENCH(balanced_bfloat16, torch::kBFloat16, false);
DMOERM_MOE_BENCH(zipf_bfloat16, torch::kBFloat16, true);

}  // namespace
}  // namespace dmoerm::bench
