// A packed batch on the device. T rows, R sequences.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dmoerm/core/compat.h"
#include "dmoerm/data/packing.h"

namespace dmoerm::nn {

struct Batch {
  Tensor tokens_T, positions_T;  // int64
  Tensor last_token_R;           // int64
  std::shared_ptr<const data::SegmentTable> segments;
  std::vector<int64_t> last_token;
  std::vector<int64_t> expert_offsets;
  std::vector<uint64_t> row_keys;
  int64_t largest_token = 0;
};

// Error for a batch without tokens and for a negative token id.
Batch to_device(const data::PackedBatch& batch, torch::Device device);

}  // namespace dmoerm::nn
