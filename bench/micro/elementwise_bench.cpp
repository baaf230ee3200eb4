// Element-wise ops and the optimizer: bytes that must be read and written at least, a second.
#include "dmoerm/ops/adamw.h"
#include "dmoerm/ops/rms_norm.h"
#include "dmoerm/ops/rotary.h"
#include "dmoerm/ops/row_dropout.h"
#include "dmoerm/ops/swiglu.h"
#include "measure.h"

namespace dmoerm::bench {
namespace {

constexpr int64_t kRows = 2048, kWidth = 1024;

Tensor leaf(std::initializer_list<int64_t> shape) {
  return torch::randn(shape).set_requires_grad(true);
}

// Arrays of [kRows, kWidth] floats that pass through memory.
void set_bytes(benchmark::State& state, double arrays) {
  state.counters["B/s"] = rate(arrays * kRows * kWidth * sizeof(float));
}

using Norm = Tensor (*)(const Tensor&, const Tensor&, double);
void rms_norm(benchmark::State& state, Norm norm, bool backward) {
  const std::vector<Tensor> in = {leaf({kRows, kWidth}), leaf({kWidth})};
  measure(state, in, backward, [&] { return norm(in[0], in[1], 1e-5); });
  set_bytes(state, backward ? 5 : 2);
}

using Rotary = Tensor (*)(const Tensor&, const Tensor&, const Tensor&);
void rotary(benchmark::State& state, Rotary rotary, bool backward) {
  const std::vector<Tensor> in = {leaf({kRows, kWidth / 64, 64})};
  const Tensor angle = torch::randn({kRows, 32}), cos = angle.cos(), sin = angle.sin();
  measure(state, in, backward, [&] { return rotary(in[0], cos, sin); });
  set_bytes(state, backward ? 4 : 2);
}

using Swiglu = Tensor (*)(const Tensor&, const Tensor&);
void swiglu(benchmark::State& state, Swiglu swiglu, bool backward) {
  const std::vector<Tensor> in = {leaf({kRows, kWidth}), leaf({kRows, kWidth})};
  measure(state, in, backward, [&] { return swiglu(in[0], in[1]); });
  set_bytes(state, backward ? 8 : 3);
}

using Dropout = Tensor (*)(const Tensor&, const ops::RowDropout&);
void row_dropout(benchmark::State& state, Dropout dropout) {
  const std::vector<uint64_t> keys(kRows, 7);
  const std::vector<Tensor> in = {leaf({kRows, kWidth})};
  measure(state, in, false, [&] { return dropout(in[0], {0.05, 1, keys}); });
  set_bytes(state, 2);
}

using AdamW = void (*)(std::span<ops::AdamWSlot>, const ops::AdamWStep&);
void adamw(benchmark::State& state, AdamW adamw) {
  const Tensor parameter = torch::randn({kRows, kWidth});
  std::vector<ops::AdamWSlot> slots = {{parameter,
                                        {},
                                        torch::randn_like(parameter),
                                        torch::zeros_like(parameter),
                                        torch::zeros_like(parameter)}};
  int64_t step = 0;
  for (auto _ : state) adamw(slots, {.step = ++step});
  set_bytes(state, 7);
}

void global_norm(benchmark::State& state) {
  const std::vector<Tensor> gradients = {torch::randn({kRows, kWidth})};
  for (auto _ : state) benchmark::DoNotOptimize(ops::global_norm(gradients));
  set_bytes(state, 1);
}

#define DMOERM_BENCH(op, name, ...) \
  BENCHMARK_CAPTURE(op, name, __VA_ARGS__)->UseRealTime()->Unit(benchmark::kMicrosecond)
DMOERM_BENCH(rms_norm, kernel, ops::rms_norm, false);
DMOERM_BENCH(rms_norm, plain, ops::rms_norm_reference, false);
DMOERM_BENCH(rms_norm, kernel_train, ops::rms_norm, true);
DMOERM_BENCH(rms_norm, plain_train, ops::rms_norm_reference, true);
DMOERM_BENCH(rotary, kernel, ops::rotary, false);
DMOERM_BENCH(rotary, plain, ops::rotary_reference, false);
DMOERM_BENCH(rotary, kernel_train, ops::rotary, true);
DMOERM_BENCH(rotary, plain_train, ops::rotary_reference, true);
DMOERM_BENCH(swiglu, kernel, ops::swiglu, false);
DMOERM_BENCH(swiglu, plain, ops::swiglu_reference, false);
DMOERM_BENCH(swiglu, kernel_train, ops::swiglu, true);
DMOERM_BENCH(swiglu, plain_train, ops::swiglu_reference, true);
DMOERM_BENCH(row_dropout, kernel, ops::row_dropout);
DMOERM_BENCH(row_dropout, plain, ops::row_dropout_reference);
DMOERM_BENCH(adamw, kernel, ops::adamw_);
DMOERM_BENCH(adamw, plain, ops::adamw_reference_);
BENCHMARK(global_norm)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace dmoerm::bench
