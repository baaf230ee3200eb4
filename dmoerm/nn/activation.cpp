#include "dmoerm/nn/activation.h"

#include <fmt/ranges.h>

#include <map>
#include <vector>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/swiglu.h"

namespace dmoerm::nn {
namespace {

using Gate = Tensor (*)(const Tensor& gate, const Tensor& up);

Tensor gated_gelu(const Tensor& gate, const Tensor& up) {
  return torch::gelu(gate) * up;
}
Tensor gated_gelu_tanh(const Tensor& gate, const Tensor& up) {
  return torch::gelu(gate, "tanh") * up;
}
Tensor gated_relu(const Tensor& gate, const Tensor& up) {
  return torch::relu(gate) * up;
}

const std::map<std::string, Gate>& gates() {
  static const std::map<std::string, Gate> table = {
      {"silu", ops::swiglu},         {"swish", ops::swiglu},
      {"gelu", gated_gelu},          {"gelu_pytorch_tanh", gated_gelu_tanh},
      {"gelu_new", gated_gelu_tanh}, {"relu", gated_relu},
  };
  return table;
}

}  // namespace

void check_activation(const std::string& name, std::string_view where) {
  if (gates().count(name) > 0) return;
  std::vector<std::string> known;
  for (const auto& [known_name, gate] : gates()) known.push_back(known_name);
  fail(where, "activation \"{}\" is not supported: expected one of {}", name, fmt::join(known, ", "));
}

Tensor gated(const std::string& name, const Tensor& gate_TF, const Tensor& up_TF) {
  return gates().at(name)(gate_TF, up_TF);
}

}  // namespace dmoerm::nn
