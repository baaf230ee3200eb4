// The models that DMoERM is compared with, made from the same base, data and labels.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dmoerm/reward/double_layer_model.h"
#include "dmoerm/train/double_layer_run.h"

namespace dmoerm::study {

// One base for all tasks with a head for each capability point, trained on the same capability labels; each
// task's reward is the linear combination of its points' heads fitted on phase 3's rankings. `config` is the
// double-layer run's, its phase 1 options train the base.
reward::DoubleLayerModel train_multi_objective(const train::RunConfig& config,
                                               const train::RunOptions& options);

// The model of a finished run with each aggregator replaced by the fitted linear combination of its experts'
// scores.
reward::DoubleLayerModel with_linear_combination(reward::DoubleLayerModel model,
                                                 const std::filesystem::path& run);

// Copies the finished router and phase 1 of one run into a new one that shares them.
void reuse_first_stages(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace dmoerm::study
