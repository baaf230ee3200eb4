// The activations of feed-forward layers, by their Hugging Face names.
#pragma once

#include <string>
#include <string_view>

#include "dmoerm/core/compat.h"

namespace dmoerm::nn {

void check_activation(const std::string& name, std::string_view where);  // Error listing the known ones

Tensor activate(const std::string& name, const Tensor& x_TF);  // `name` was checked

// activation(gate) * up, [T, F].
Tensor gated(const std::string& name, const Tensor& gate_TF, const Tensor& up_TF);
Tensor gated_halves(const std::string& name, const Tensor& x_T2F);  // the gate before what it gates

}  // namespace dmoerm::nn
