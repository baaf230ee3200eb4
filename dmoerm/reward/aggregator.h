// Aggregator: the concatenated last states of K experts -> one reward (DMoERM, phase 3).
// r = fc2(PReLU(fc1(y))), always float32. R sequences, K experts, D width.
#pragma once

#include <filesystem>

#include "dmoerm/core/safetensors.h"

namespace dmoerm::reward {

// A linear combination of expert scores: r = sum_k coefficient_K[k] * (head_KD[k] . z_k + offset_K[k]).
// Scale heads and offsets so that each score has about unit deviation over the data: the spare hidden rows of
// an aggregator that starts from here are random mixtures of these scores.
struct LinearCombination {
  Tensor head_KD, offset_K, coefficient_K;
};

class Aggregator {
 public:
  // Random start: fc layers uniform in +-1/sqrt(inputs), slope 0.25, as the published form.
  Aggregator(int64_t num_experts, int64_t width, uint64_t seed);
  // Starts exactly as the combination: two hidden rows +-u_k an expert, since PReLU(x) - PReLU(-x) = (1 + a)
  // x. The other rows are random mixtures of the scores with fc2 zero. Error unless 2 K <= D.
  static Aggregator from_linear(const LinearCombination& start, uint64_t seed);

  // y_RKD [R, K, D] (or [R, K*D]) -> [R]. Differentiable in the parameters and in y.
  Tensor forward(const Tensor& y_RKD) const;

  // Changes fc1 so that forward(x) afterwards equals forward((x - mean) / std) before; exact up to rounding.
  // To train on standardised states, fold in the inverse (-mean/std, 1/std) before and (mean, std) after.
  void fold_standardisation(const Tensor& mean_KD, const Tensor& std_KD);

  int64_t num_experts() const { return num_experts_; }
  int64_t width() const { return width_; }
  torch::Device device() const { return parameters_.at("fc1.weight").device(); }
  void to(torch::Device device);
  // By their names on disk: fc1.weight [D, K*D], fc1.bias [D], prelu.weight [1], fc2.weight [1, D], fc2.bias
  // [1].
  NamedTensors& parameters() { return parameters_; }
  const NamedTensors& parameters() const { return parameters_; }

  // Error, naming file and tensor, for anything missing, left over, misshapen or not finite.
  static Aggregator load(const std::filesystem::path& file, int64_t num_experts, int64_t width,
                         torch::Device device = torch::kCPU);
  void save(const std::filesystem::path& file) const;

 private:
  Aggregator(int64_t num_experts, int64_t width) : num_experts_(num_experts), width_(width) {}

  int64_t num_experts_, width_;
  NamedTensors parameters_;
};

}  // namespace dmoerm::reward
