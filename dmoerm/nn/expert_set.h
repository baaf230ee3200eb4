// LoRA experts that run together over one base.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dmoerm/ops/expert_linear.h"

namespace dmoerm::nn {

// The low-rank updates of one expert, by layer name ("layers.0.self_attn.q_proj"). Trainable tensors are
// leaves.
struct LoraExpert {
  std::map<std::string, ops::LoraPair> pairs;
  double dropout = 0;  // only while training
};

// All experts that run together over one base.
struct ExpertSet {
  std::vector<LoraExpert> experts;
  // Dropout is active only while training; its masks are a function of this seed, the expert's own number in
  // `dropout_keys` (so that an expert trained alone draws the same), the layer and the row keys. Experts that
  // are trained together have one dropout probability.
  bool training = false;
  uint64_t dropout_seed = 0;
  std::vector<uint64_t> dropout_keys;
};

}  // namespace dmoerm::nn
