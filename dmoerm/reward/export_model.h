// Parts of a model written as folders of their own: an expert as a PEFT adapter or merged into a sequence
// classifier, one task as a model. None of them holds another's parts; `directory` must not exist yet.
#pragma once

#include <filesystem>
#include <string>

#include "dmoerm/reward/double_layer_model.h"

namespace dmoerm::reward {

// "" means the only one there is. Errors list what the model has.
struct ExpertChoice {
  std::string task, point;
};

// The expert's LoRA and score head with the tokenizer's files. Its base is named by the absolute path of the
// base inside `model_directory`. Scores are the expert's raw scores.
void export_adapter(const DoubleLayerModel& model, const std::filesystem::path& model_directory,
                    const ExpertChoice& choice, const std::filesystem::path& directory);

// The expert merged into its base (W + scale B A, float32) as a sequence classifier with one label, which
// transformers scores equally; for a task without experts its base. Scores are raw.
void export_classifier(const DoubleLayerModel& model, const ExpertChoice& choice,
                       const std::filesystem::path& directory);

// One task with its base, experts, aggregator, mean and deviation as a model without a router.
void export_task(const DoubleLayerModel& model, const std::string& task,
                 const std::filesystem::path& directory);

}  // namespace dmoerm::reward
