// Differences between LibTorch versions: the only place that tests the version.
#pragma once

// The parts of LibTorch that we use. <torch/torch.h> would double the compile time of every file.
#include <torch/csrc/autograd/custom_function.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <torch/version.h>

namespace dmoerm {

using torch::Tensor;

// Tensor::item() and friends are the same everywhere; what differs is wrapped below as it is needed.
inline constexpr int kTorchMajor = TORCH_VERSION_MAJOR;
inline constexpr int kTorchMinor = TORCH_VERSION_MINOR;
// Whether the grouped product runs on compute capability 10 too, and not on 9 alone.
inline constexpr bool kGroupedMmOnTen = kTorchMajor > 2 || (kTorchMajor == 2 && kTorchMinor >= 9);

}  // namespace dmoerm
