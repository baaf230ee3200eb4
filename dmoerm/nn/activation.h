// The gate functions of feed-forward layers, by their Hugging Face names.
#pragma once

#include <string>
#include <string_view>

#include "dmoerm/core/compat.h"

namespace dmoerm::nn {

void check_activation(const std::string& name, std::string_view where);  // Error listing the known ones

// activation(gate) * up, [T, F]. `name` was checked.
Tensor gated(const std::string& name, const Tensor& gate_TF, const Tensor& up_TF);

}  // namespace dmoerm::nn
