// The main job: preference data, labels and a base -> a trained double-layer model, in a run directory.
#pragma once

#include "dmoerm/reward/double_layer_model.h"
#include "dmoerm/train/run_config.h"

namespace dmoerm::train {

struct RunOptions {
  bool resume = false;
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;  // of the decoders' weights; masters are float32
};

// Trains router and phases 1 to 3 and writes the model to `config.out`/model; returns it.
reward::DoubleLayerModel train_double_layer(const RunConfig& config, const RunOptions& options);

// Phase 3 alone, in a run directory of its own: gives every task of a trained `model`, whose experts may have
// been chosen anew, an aggregator fitted on that phase's part of `config.data`. Bases and experts stay. Where
// the model's bases do not fit the device together, each is moved there for its task.
void train_aggregators(reward::DoubleLayerModel& model, const RunConfig& config, const RunOptions& options);

// A plain reward model (kind "single") over all data, written to `config.out`/model as a Hugging Face
// directory that transformers scores equally, batched too; form "lora": a PEFT directory.
void train_single(const RunConfig& config, const RunOptions& options);

}  // namespace dmoerm::train
