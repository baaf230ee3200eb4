// Timing an operation forward, or forward and backward.
#pragma once

#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "dmoerm/core/compat.h"

namespace dmoerm::bench {

using benchmark::Counter;

inline Counter rate(double units) {
  return Counter(units, Counter::kIsIterationInvariantRate, Counter::kIs1000);
}

// Runs `op` for each iteration; with `backward` also the gradients of all inputs that require one. On a GPU
// each iteration waits for its end.
inline void measure(benchmark::State& state, const std::vector<Tensor>& inputs, bool backward,
                    const std::function<Tensor()>& op) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs)
    if (input.requires_grad()) leaves.push_back(input);
  const torch::AutoGradMode mode(backward);
  const Tensor direction = torch::ones_like(op());
  for (auto _ : state) {
    const Tensor y = op();
    if (backward) benchmark::DoNotOptimize(torch::autograd::grad({y}, leaves, {direction}));
    if (y.is_cuda()) torch::cuda::synchronize();
  }
}

}  // namespace dmoerm::bench
