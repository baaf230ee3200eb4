#include "dmoerm/ops/swiglu.h"

namespace dmoerm::ops {

Tensor swiglu_reference(const Tensor& gate_TF, const Tensor& up_TF) { return torch::silu(gate_TF) * up_TF; }

Tensor swiglu(const Tensor& gate_TF, const Tensor& up_TF) { return swiglu_reference(gate_TF, up_TF); }

}  // namespace dmoerm::ops
