// Kinds of rotary positions, with the settings of transformers.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace dmoerm::nn {

// "default"; "linear": positions divided by factor; "dynamic": a larger theta for sequences longer than
// original_max_position; "llama3": Llama 3.1's smoothed frequencies; "yarn" (Peng et al. 2023).
struct RotaryConfig {
  std::string type = "default";
  double theta = 10000, factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double original_max_position = 8192;               // llama3, yarn, dynamic
  // yarn. The attention factor multiplies cosines and sines; the two mscales give it where it is not set, and
  // mscale_all_dim scales the scores of latent attention. 0: not set.
  double beta_fast = 32, beta_slow = 1;
  double attention_factor = 0, mscale = 0, mscale_all_dim = 0;
  bool truncate = true;

  bool operator==(const RotaryConfig&) const = default;

  // Sequences longer than this have frequencies of their own.
  int64_t longest_common() const {
    return type == "dynamic" ? static_cast<int64_t>(original_max_position)
                             : std::numeric_limits<int64_t>::max();
  }
};

}  // namespace dmoerm::nn
