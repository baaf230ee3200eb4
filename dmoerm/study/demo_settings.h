// The demo's settings: sizes and learning rates chosen by measurement on the synthetic world.
#pragma once

#include <filesystem>

#include "dmoerm/train/double_layer_run.h"
#include "dmoerm/train/pretrain.h"

namespace dmoerm::study {

train::PretrainConfig demo_pretrain(const std::filesystem::path& directory, uint64_t seed);
// A double-layer run on the world in `directory`, with the given labels, into directory/`name`.
train::RunConfig demo_double_layer(const std::filesystem::path& directory, const std::string& name,
                                   const std::filesystem::path& labels, uint64_t seed);
// A single model on `file`.
train::RunConfig demo_single(const std::filesystem::path& directory, const std::string& name,
                             const std::filesystem::path& file, uint64_t seed);

}  // namespace dmoerm::study
