#include "dmoerm/nn/batch.h"

#include <algorithm>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"

namespace dmoerm::nn {

Batch to_device(const data::PackedBatch& batch, torch::Device device) {
  if (batch.tokens.empty()) fail("batch", "found no tokens, expected at least one");
  const auto [smallest, largest] = std::minmax_element(batch.tokens.begin(), batch.tokens.end());
  if (*smallest < 0) fail("batch", "found token id {}, expected none below zero", *smallest);
  const auto copy = [&](const std::vector<int64_t>& values) { return copy_to_device(values, device); };
  return {copy(batch.tokens), copy(batch.positions), copy(batch.last_token), batch.segments,
          batch.last_token,   batch.expert_offsets,  batch.row_keys,         *largest};
}

}  // namespace dmoerm::nn
