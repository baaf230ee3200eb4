// A linear layer with five experts of rank 32 over a frozen base: the custom function and the composed form,
// and the base product alone as the bound.
#include "dmoerm/ops/expert_linear.h"
#include "measure.h"

namespace dmoerm::bench {
namespace {

constexpr int64_t kTokens = 2500, kIn = 512, kOut = 512, kExperts = 5, kRank = 32;

using Linear = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, std::span<const ops::LowRankUpdate>,
                          const ops::RowDropout&);

void expert_linear(benchmark::State& state, Linear linear, bool backward, double dropout) {
  const auto leaf = [](int64_t rows, int64_t columns) {
    return (torch::randn({rows, columns}) * 0.05).set_requires_grad(true);
  };
  std::vector<Tensor> in = {leaf(kTokens, kIn)};
  std::vector<ops::LowRankUpdate> updates;
  const int64_t rows = kTokens / kExperts;
  for (int64_t e = 0; e < kExperts; ++e) {
    const ops::LoraPair pair = {leaf(kRank, kIn), leaf(kOut, kRank), 1};
    in.insert(in.end(), {pair.a, pair.b});
    updates.push_back({pair, e * rows, rows});
  }
  const Tensor weight = torch::randn({kOut, kIn});
  const std::vector<uint64_t> keys(kTokens, 3);
  measure(state, in, backward, [&] { return linear(in[0], weight, {}, updates, {dropout, 1, keys}); });
  const double base = 2.0 * kTokens * kIn * kOut, low_rank = 2.0 * kTokens * kRank * (kIn + kOut);
  state.counters["FLOP/s"] = rate(backward ? 2 * base + 3 * low_rank : base + low_rank);
}

void base_alone(benchmark::State& state) {
  const Tensor x = torch::randn({kTokens, kIn}), weight = torch::randn({kOut, kIn});
  measure(state, {}, false, [&] { return torch::linear(x, weight); });
  state.counters["FLOP/s"] = rate(2.0 * kTokens * kIn * kOut);
}

#define DMOERM_BENCH(op, name, ...) \
  BENCHMARK_CAPTURE(op, name, __VA_ARGS__)->UseRealTime()->Unit(benchmark::kMicrosecond)
BENCHMARK(base_alone)->UseRealTime()->Unit(benchmark::kMicrosecond);
DMOERM_BENCH(expert_linear, custom, ops::expert_linear, false, 0.0);
DMOERM_BENCH(expert_linear, plain, ops::expert_linear_reference, false, 0.0);
DMOERM_BENCH(expert_linear, custom_train, ops::expert_linear, true, 0.0);
DMOERM_BENCH(expert_linear, plain_train, ops::expert_linear_reference, true, 0.0);
DMOERM_BENCH(expert_linear, custom_train_dropout, ops::expert_linear, true, 0.05);
DMOERM_BENCH(expert_linear, plain_train_dropout, ops::expert_linear_reference, true, 0.05);

}  // namespace
}  // namespace dmoerm::bench
