// Differences between LibTorch versions: the only place that tests the version.
#pragma once

#include <torch/torch.h>

namespace dmoerm {

using torch::Tensor;

// Tensor::item() and friends are the same everywhere; what differs is wrapped below as it is needed.
inline constexpr int kTorchMajor = TORCH_VERSION_MAJOR;
inline constexpr int kTorchMinor = TORCH_VERSION_MINOR;

}  // namespace dmoerm
