// SwiGLU (Shazeer 2020): silu(gate) * up.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

Tensor swiglu(const Tensor& gate_TF, const Tensor& up_TF);  // [T, F], differentiable
Tensor swiglu_halves(const Tensor& x_T2F);  // the gate and what it gates side by side: [T, 2F] -> [T, F]
Tensor swiglu_reference(const Tensor& gate_TF, const Tensor& up_TF);

}  // namespace dmoerm::ops
