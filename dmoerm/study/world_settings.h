// Configurations of the runs on the synthetic world: sizes and learning rates chosen by measurement.
#pragma once

#include <filesystem>

#include "dmoerm/train/double_layer_run.h"
#include "dmoerm/train/pretrain.h"

namespace dmoerm::study {

inline constexpr int64_t kWorldVocabulary = 800;

// Data, tokenizer and base lie in a world's `directory`: world/, tokenizer/ and base/.
train::PretrainConfig world_pretrain(const std::filesystem::path& directory, uint64_t seed);
train::RunConfig world_double_layer(const std::filesystem::path& directory,
                                    const std::filesystem::path& labels, uint64_t seed);
train::RunConfig world_single(const std::filesystem::path& directory, uint64_t seed);

}  // namespace dmoerm::study
