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
//
// On the experts of a MoE layer, of widths D and F, in either of two forms (or both, which add up):
//   one module an expert   "layers.N.mlp.experts.J.gate_proj", "….up_proj": A [r, D], B [F, r];
//                          "….down_proj": A [r, F], B [D, r]
//   fused                  "layers.N.mlp.experts.J.gate_up_proj": one A [r, D], B [2F, r], gate first;
//                          "….down_proj" as above: expert J's slices of PEFT's stacked target_parameters
// DecoderConfig::linear_layers() lists gate_proj, up_proj and down_proj, as `stacked`.
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
