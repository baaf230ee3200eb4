// A language model's output layer and loss, in parts and with the logits of all rows; with a GPU also there.
#include <fmt/format.h>

#include <map>

#include "dmoerm/ops/linear_cross_entropy.h"
#include "measure.h"

namespace dmoerm::bench {
namespace {

struct OutputLayer {
  int64_t rows = 4096, width = 256, vocab = 8192;
  torch::TensorOptions tensor = torch::kFloat32;
};

using CrossEntropy = Tensor (*)(const Tensor&, const Tensor&, const Tensor&);

void linear_cross_entropy(benchmark::State& state, const OutputLayer& layer, CrossEntropy op, bool backward) {
  const std::vector<Tensor> inputs = {
      torch::randn({layer.rows, layer.width}, layer.tensor).set_requires_grad(backward),
      (torch::randn({layer.vocab, layer.width}, layer.tensor) * 0.1).detach().set_requires_grad(backward)};
  const Tensor target = torch::randint(layer.vocab, {layer.rows}, torch::kInt64).to(layer.tensor.device());
  measure(state, inputs, backward, [&] { return op(inputs[0], inputs[1], target); });
  state.counters["FLOP/s"] =
      rate(2.0 * static_cast<double>(layer.rows * layer.width * layer.vocab) * (backward ? 3 : 1));
}

void register_layer(const std::string& name, const OutputLayer& layer) {
  for (const bool backward : {false, true})
    for (const auto& [form, op] : std::map<std::string, CrossEntropy>{
             {"parts", ops::linear_cross_entropy}, {"plain", ops::linear_cross_entropy_reference}})
      benchmark::RegisterBenchmark(
          fmt::format("linear_cross_entropy/{}{}{}", name, form, backward ? "_train" : "").c_str(),
          linear_cross_entropy, layer, op, backward)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
}

void register_layers() {
  register_layer("", {});
  if (torch::cuda::is_available())
    register_layer("cuda_", {32768, 448, 8192, torch::dtype(torch::kBFloat16).device(torch::kCUDA)});
}

const bool layers_registered = (register_layers(), true);

}  // namespace
}  // namespace dmoerm::bench
