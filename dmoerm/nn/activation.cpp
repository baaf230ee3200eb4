#include "dmoerm/nn/activation.h"

#include <fmt/ranges.h>

#include <map>
#include <vector>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/swiglu.h"

namespace dmoerm::nn {
namespace {

using Activation = Tensor (*)(const Tensor& x);

Tensor gelu(const Tensor& x) {
  return torch::gelu(x);
}
Tensor gelu_tanh(const Tensor& x) {
  return torch::gelu(x, "tanh");
}
Tensor quick_gelu(const Tensor& x) {
  return x * torch::sigmoid(1.702 * x);
}
Tensor relu(const Tensor& x) {
  return torch::relu(x);
}
Tensor silu(const Tensor& x) {
  return torch::silu(x);
}

const std::map<std::string, Activation>& activations() {
  static const std::map<std::string, Activation> table = {
      {"silu", silu},
      {"swish", silu},
      {"gelu", gelu},
      {"gelu_python", gelu},
      {"gelu_new", gelu_tanh},
      {"gelu_fast", gelu_tanh},
      {"gelu_pytorch_tanh", gelu_tanh},
      {"quick_gelu", quick_gelu},
      {"relu", relu},
  };
  return table;
}

}  // namespace

void check_activation(const std::string& name, std::string_view where) {
  if (activations().count(name) > 0) return;
  std::vector<std::string> known;
  for (const auto& [known_name, activation] : activations()) known.push_back(known_name);
  fail(where, "activation \"{}\" is not supported: expected one of {}", name, fmt::join(known, ", "));
}

Tensor activate(const std::string& name, const Tensor& x_TF) {
  return activations().at(name)(x_TF);
}

Tensor gated(const std::string& name, const Tensor& gate_TF, const Tensor& up_TF) {
  const bool swiglu = name == "silu" || name == "swish";
  return swiglu ? ops::swiglu(gate_TF, up_TF) : activate(name, gate_TF) * up_TF;
}

Tensor gated_halves(const std::string& name, const Tensor& x_T2F) {
  if (name == "silu" || name == "swish") return ops::swiglu_halves(x_T2F);
  const std::vector<Tensor> halves = x_T2F.chunk(2, 1);
  return gated(name, halves[0], halves[1]);
}

}  // namespace dmoerm::nn
