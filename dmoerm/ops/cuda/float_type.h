// The types that our CUDA kernels take.
#pragma once

namespace dmoerm::ops {

enum class FloatType { Float32, BFloat16, Float16 };

}  // namespace dmoerm::ops
