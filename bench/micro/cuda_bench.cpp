// Element-wise ops and the optimizer on a GPU: bytes that must be read and written at least, a second. `copy`
// is the ceiling.
#include "dmoerm/ops/adamw.h"
#include "dmoerm/ops/ranking_loss.h"
#include "dmoerm/ops/rms_norm.h"
#include "dmoerm/ops/rotary.h"
#include "dmoerm/ops/swiglu.h"
#include "measure.h"

namespace dmoerm::bench {
namespace {

constexpr int64_t kGpuRows = 16384, kGpuWidth = 2048, kGpuInner = 5504;
constexpr int64_t kLossRows =
    64;  // rewards of a step, with twice as many edges: a launch's time is what counts

Tensor draw_gpu(torch::IntArrayRef sizes, bool gradient) {
  const auto options = torch::TensorOptions(torch::kCUDA).dtype(torch::kBFloat16);
  return torch::randn(sizes, options).set_requires_grad(gradient);
}

// `numbers`: bfloat16 numbers that are moved.
void add_gpu(const std::string& name, double numbers, bool backward,
             const std::function<std::function<Tensor()>(std::vector<Tensor>&, bool)>& make) {
  const auto run = [=](benchmark::State& state) {
    std::vector<Tensor> inputs;
    const std::function<Tensor()> op = make(inputs, backward);
    measure(state, inputs, backward, op);
    state.counters["bytes/s"] = rate(2 * numbers);
  };
  benchmark::RegisterBenchmark(("cuda/" + name + (backward ? "_train" : "")).c_str(), run)
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

void gpu_optimizer(benchmark::State& state, bool norm_alone) {
  const auto options = torch::TensorOptions(torch::kCUDA).dtype(torch::kFloat32);
  constexpr int64_t kCount = 300, kSize = 1 << 20;
  std::vector<ops::AdamWSlot> slots;
  std::vector<Tensor> gradients;
  for (int64_t i = 0; i < kCount; ++i) {
    const Tensor value = torch::randn({kSize}, options);
    gradients.push_back(torch::randn({kSize}, options).to(torch::kBFloat16));
    slots.push_back({value.to(torch::kBFloat16), value, gradients.back(), torch::zeros_like(value),
                     torch::zeros_like(value)});
  }
  int64_t step = 0;
  for (auto _ : state) {
    if (norm_alone)
      benchmark::DoNotOptimize(ops::global_norm(gradients));
    else
      ops::adamw_(slots, {.step = ++step});
    torch::cuda::synchronize();
  }
  // Read: gradient, value and moments; written: value, moments and the narrow copy.
  state.counters["bytes/s"] = rate(static_cast<double>(kCount * kSize) * (norm_alone ? 2 : 2 + 12 + 12 + 2));
}

void register_gpu_ops() {
  const double states = kGpuRows * kGpuWidth, inner = kGpuRows * kGpuInner;
  add_gpu("copy", 2 * states, false, [](auto& in, bool) {
    in = {draw_gpu({kGpuRows, kGpuWidth}, false)};
    return [x = in[0]] { return x.clone(); };
  });
  for (const bool backward : {false, true}) {
    // Backward: the gradient of the norm and of the sum, the sum read, one gradient written.
    add_gpu("add_rms_norm", (4 + (backward ? 4 : 0)) * states, backward, [](auto& in, bool gradient) {
      in = {draw_gpu({kGpuRows, kGpuWidth}, gradient), draw_gpu({kGpuRows, kGpuWidth}, gradient),
            draw_gpu({kGpuWidth}, gradient)};
      return [in] { return ops::add_rms_norm(in[0], in[1], in[2], 1e-6).normed_TD; };
    });
    add_gpu("rotary", (2 + (backward ? 2 : 0)) * states, backward, [](auto& in, bool gradient) {
      in = {draw_gpu({kGpuRows, 16, kGpuWidth / 16}, gradient)};
      const Tensor angles = torch::randn({kGpuRows, kGpuWidth / 32}, torch::kCUDA);
      return [x = in[0], cos = angles.cos(), sin = angles.sin()] { return ops::rotary(x, cos, sin); };
    });
    add_gpu("swiglu", (3 + (backward ? 5 : 0)) * inner, backward, [](auto& in, bool gradient) {
      in = {draw_gpu({kGpuRows, 2 * kGpuInner}, gradient)};
      return [x = in[0]] { return ops::swiglu_halves(x); };
    });
  }
  for (const bool kernel : {true, false})
    for (const bool backward : {false, true})
      add_gpu(kernel ? "ranking_loss" : "ranking_loss_plain", 26 * kLossRows, backward,
              [kernel](auto& in, bool gradient) {
                const auto options = torch::TensorOptions(torch::kCUDA);
                in = {torch::randn({kLossRows}, options).set_requires_grad(gradient)};
                const auto rows = [&] {
                  return torch::randint(kLossRows, {2 * kLossRows}, options.dtype(torch::kInt64));
                };
                const ops::RankingEdges edges = {rows(), rows(), torch::rand({2 * kLossRows}, options),
                                                 torch::zeros({2 * kLossRows}, options)};
                return [x = in[0], edges, kernel] {
                  return kernel ? ops::ranking_loss(x, edges) : ops::ranking_loss_reference(x, edges);
                };
              });
  for (const bool norm : {false, true})
    benchmark::RegisterBenchmark(norm ? "cuda/global_norm" : "cuda/adamw", gpu_optimizer, norm)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
}

const bool gpu_ops_registered = torch::cuda::is_available() && (register_gpu_ops(), true);

}  // namespace
}  // namespace dmoerm::bench
