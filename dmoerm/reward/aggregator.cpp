#include "dmoerm/reward/aggregator.h"

#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"

namespace dmoerm::reward {
namespace {

constexpr double kInitialSlope = 0.25;  // of the PReLU, as torch.nn.PReLU

Tensor uniform(torch::IntArrayRef shape, double bound, RandomStream& random) {
  Tensor result = torch::empty(shape, torch::kFloat);
  auto* values = result.data_ptr<float>();
  for (int64_t i = 0; i < result.numel(); ++i)
    values[i] = static_cast<float>((2 * random.uniform() - 1) * bound);
  return result;
}

}  // namespace

Aggregator::Aggregator(int64_t num_experts, int64_t width, uint64_t seed) : Aggregator(num_experts, width) {
  RandomStream random(seed, "aggregator");
  const int64_t inputs = num_experts * width;
  const double bound1 = 1 / std::sqrt(static_cast<double>(inputs));
  const double bound2 = 1 / std::sqrt(static_cast<double>(width));
  parameters_["fc1.weight"] = uniform({width, inputs}, bound1, random);
  parameters_["fc1.bias"] = uniform({width}, bound1, random);
  parameters_["prelu.weight"] = torch::full({1}, kInitialSlope);
  parameters_["fc2.weight"] = uniform({1, width}, bound2, random);
  parameters_["fc2.bias"] = uniform({1}, bound2, random);
}

Aggregator Aggregator::from_linear(const LinearCombination& start, uint64_t seed) {
  const int64_t K = start.head_KD.size(0), D = start.head_KD.size(1);
  if (2 * K > D) fail("aggregator", "{} experts need 2 hidden rows each, found a width of {}", K, D);
  const Tensor head_KD = start.head_KD.to(torch::kCPU, torch::kFloat);
  const Tensor offset_K = start.offset_K.to(torch::kCPU, torch::kFloat);
  const Tensor coefficient_K = start.coefficient_K.to(torch::kCPU, torch::kFloat);

  // mix_DK: each hidden row as a mixture of the scores. Its block k of fc1 is mix[k] * head_k.
  Tensor mix_DK = torch::zeros({D, K}), bias_D = torch::zeros({D}), out_D = torch::zeros({D});
  auto mix = mix_DK.accessor<float, 2>();
  for (int64_t k = 0; k < K; ++k) {
    mix[2 * k][k] = 1;
    mix[2 * k + 1][k] = -1;
  }
  const Tensor half_K = coefficient_K / (1 + kInitialSlope);
  out_D.narrow(0, 0, 2 * K).copy_(torch::stack({half_K, -half_K}, 1).reshape({-1}));
  RandomStream random(seed, "aggregator");
  for (int64_t row = 2 * K; row < D; ++row) {
    for (int64_t k = 0; k < K; ++k) mix[row][k] = random.normal() / std::sqrt(static_cast<double>(K));
    bias_D[row] = random.normal();
  }

  Aggregator result(K, D);
  auto& parameters = result.parameters_;
  parameters["fc1.weight"] = (mix_DK.unsqueeze(-1) * head_KD.unsqueeze(0)).reshape({D, K * D}).contiguous();
  parameters["fc1.bias"] = bias_D + mix_DK.mv(offset_K);
  parameters["prelu.weight"] = torch::full({1}, kInitialSlope);
  parameters["fc2.weight"] = out_D.unsqueeze(0);
  parameters["fc2.bias"] = torch::zeros({1});
  return result;
}

Tensor Aggregator::forward(const Tensor& y_RKD) const {
  const Tensor y = y_RKD.reshape({y_RKD.size(0), num_experts_ * width_});
  const Tensor hidden_RD = torch::linear(y, parameters_.at("fc1.weight"), parameters_.at("fc1.bias"));
  const Tensor active_RD = torch::prelu(hidden_RD, parameters_.at("prelu.weight"));
  return torch::linear(active_RD, parameters_.at("fc2.weight"), parameters_.at("fc2.bias")).squeeze(-1);
}

void Aggregator::fold_standardisation(const Tensor& mean_KD, const Tensor& std_KD) {
  torch::NoGradGuard no_grad;
  Tensor& weight = parameters_.at("fc1.weight");
  Tensor& bias = parameters_.at("fc1.bias");
  const auto wide = weight.options().dtype(torch::kDouble);
  const Tensor folded = weight.to(wide) / std_KD.to(wide).reshape({1, -1});
  bias = (bias.to(wide) - folded.mv(mean_KD.to(wide).reshape({-1}))).to(weight.options());
  weight = folded.to(weight.options());
}

void Aggregator::to(torch::Device device) {
  for (auto& [name, parameter] : parameters_) parameter = parameter.to(device);
}

Aggregator Aggregator::load(const std::filesystem::path& file, int64_t num_experts, int64_t width,
                            torch::Device device) {
  const std::map<std::string, std::vector<int64_t>> expected = {{"fc1.weight", {width, num_experts * width}},
                                                                {"fc1.bias", {width}},
                                                                {"prelu.weight", {1}},
                                                                {"fc2.weight", {1, width}},
                                                                {"fc2.bias", {1}}};
  const SafeTensors tensors(file);
  for (const auto& name : tensors.names())
    if (!expected.count(name)) fail(file.string(), "tensor \"{}\" is no part of an aggregator", name);
  Aggregator result(num_experts, width);
  for (const auto& [name, shape] : expected) {
    if (!tensors.contains(name)) fail(file.string(), "tensor \"{}\" is missing", name);
    if (tensors.shape(name) != shape)
      fail(file.string(), "tensor \"{}\" has shape [{}], expected [{}] for {} experts of width {}", name,
           fmt::join(tensors.shape(name), ", "), fmt::join(shape, ", "), num_experts, width);
    const Tensor value = tensors.tensor(name).to(torch::kFloat);
    if (!value.isfinite().all().item<bool>())
      fail(file.string(), "tensor \"{}\" holds numbers that are not finite", name);
    result.parameters_[name] = value.to(device, /*non_blocking=*/false, /*copy=*/true);
  }
  return result;
}

void Aggregator::save(const std::filesystem::path& file) const {
  save_safetensors(file, parameters_);
}

}  // namespace dmoerm::reward
