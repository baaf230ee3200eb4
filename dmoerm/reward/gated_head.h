// Gated head: what stands over a frozen base in ArmoRM (Wang et al. 2024, "Interpretable Preferences via
// Multi-Objective Reward Modeling and Mixture-of-Experts"). Rating heads, the length of the answer taken out
// of each rating, and a gate that weighs them by the prompt:
//   rating_p = weight_p . z + bias_p - penalty_p * (length - mean) / std
//   gate     = exp(log_scale) * softmax(mlp((z_prompt - mean) / std) / temperature)
//   reward   = sum_p gate_p * rating_p
// R answers, G prompts, D width, P objectives, H hidden width of the gate.
#pragma once

#include <filesystem>

#include "dmoerm/core/safetensors.h"

namespace dmoerm::reward {

struct GateShape {
  int64_t hidden = 1024, layers = 3;  // of the ReLU layers before the output
  double temperature = 10;
};

struct RatingHeads {
  Tensor weight_PD, bias_P;
  Tensor penalty_P;                        // of one deviation of length
  double length_mean = 0, length_std = 1;  // in tokens
};

// The gate before training: equal weights that add up to `scale`.
struct GateStart {
  Tensor mean_D, std_D;  // of the training prompts' states
  double scale = 1;
  uint64_t seed = 1;
};

// Answers and their prompts.
struct GatedInputs {
  Tensor z_RD;       // last hidden states of the base
  Tensor length_R;   // tokens, data::GroupEncoder::answer_lengths()
  Tensor prompt_GD;  // last hidden states of data::GroupEncoder::encode_router_input()
  Tensor prompt_R;   // int64: row of prompt_GD
};

class GatedHead {
 public:
  // float32 on the CPU. The gate's output layer is zero, the others are uniform in +-1/sqrt(inputs).
  GatedHead(const GateShape& shape, const RatingHeads& heads, const GateStart& start);

  // Each takes its inputs in the head's type. Differentiable in the gate.
  Tensor ratings(const Tensor& z_RD, const Tensor& length_R) const;  // [R, P]
  Tensor weights(const Tensor& prompt_GD) const;                     // [G, P], positive
  // [R]. Scoring and the gate's training both call this: no part can be left out in one of them.
  Tensor reward(const GatedInputs& inputs) const;

  const GateShape& shape() const { return shape_; }
  int64_t num_objectives() const { return num_objectives_; }
  int64_t width() const { return width_; }
  // By their names on disk: ratings.weight [P, D], ratings.bias [P], verbosity.penalty [P], verbosity.mean
  // [1], verbosity.std [1], input.mean [D], input.std [D], and what is trained: gate.fc1.weight [H, D],
  // gate.fc1.bias [H], gate.fc2.weight [H, H] … gate.out.weight [P, H], gate.out.bias [P], gate.log_scale
  // [1].
  NamedTensors& tensors() { return tensors_; }
  const NamedTensors& tensors() const { return tensors_; }
  NamedTensors gate_parameters() const;  // of those the ones that are trained; the same tensors

  // Error, naming file and tensor, for anything missing, left over, misshapen or not finite.
  static GatedHead load(const std::filesystem::path& file, const GateShape& shape, int64_t num_objectives,
                        int64_t width, torch::Device device = torch::kCPU);
  void save(const std::filesystem::path& file) const;

 private:
  GatedHead(const GateShape& shape, int64_t num_objectives, int64_t width)
      : shape_(shape), num_objectives_(num_objectives), width_(width) {}
  const Tensor& tensor(const std::string& name) const { return tensors_.at(name); }

  GateShape shape_;
  int64_t num_objectives_, width_;
  NamedTensors tensors_;
};

}  // namespace dmoerm::reward
