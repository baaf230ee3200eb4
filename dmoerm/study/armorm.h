// The baseline ArmoRM (Wang et al. 2024, "Interpretable Preferences via Multi-Objective Reward Modeling and
// Mixture-of-Experts"): absolute ratings of several objectives by ridge regression on a frozen base, the
// length of the answer taken out of them, and a gate that weighs them by the prompt.
#pragma once

#include "dmoerm/reward/gated_model.h"
#include "dmoerm/train/double_layer_run.h"

namespace dmoerm::study {

struct ArmoRmOptions {
  reward::GateShape gate;
  double length_correlation = 0.03;  // at most so much of a rating's rank correlation with length is left
};

// Objectives: the points of all tasks by name, one head for a point of several tasks. Heads: fitted on the
// ratings that the labels of phase 1's part give. Length is taken out on the training answers of phase 3's
// part, which the heads have not seen. Gate: one for all tasks, trained on the human rankings of phase 3's
// part with phase 3's options (label_smoothing, centering and early_stop among them). `config` is the
// double-layer run's; its `base` stays frozen and should be a trained reward model's where there is one: the
// heads only read what its states hold. Writes the model to `config.out`/model; returns it. Error, naming the
// objective, where a point has no kept label in the training or in the held-out part.
reward::GatedModel train_armorm(const train::RunConfig& config, const train::RunOptions& options,
                                const ArmoRmOptions& armorm = {});

}  // namespace dmoerm::study
