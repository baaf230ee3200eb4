// Configurations of the runs on the synthetic world: sizes and learning rates chosen by measurement.
#pragma once

#include <filesystem>

#include "dmoerm/train/double_layer_run.h"
#include "dmoerm/train/pretrain.h"

namespace dmoerm::study {

inline constexpr int64_t kWorldVocabulary = 800;

// All in `directory`: world/ with the data, tokenizer/, base/ and labels.jsonl; each run in a folder `run`.
train::PretrainConfig world_pretrain(const std::filesystem::path& directory, uint64_t seed);
train::RunConfig world_double_layer(const std::filesystem::path& directory, const std::string& run,
                                    uint64_t seed);
train::RunConfig world_single(const std::filesystem::path& directory, const std::string& run, uint64_t seed);

}  // namespace dmoerm::study
