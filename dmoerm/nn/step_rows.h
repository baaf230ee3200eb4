// How much each row of a step counts in its router losses, whatever batches the step is cut into.
// T rows of a batch, R sequences.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "dmoerm/nn/batch.h"

namespace dmoerm::nn {

// A token counts once for all sequences of a group that have it: each of its copies (of a prompt that is
// computed again for each part of a large group, or without sharing) counts 1 / copies.
class StepRows {
 public:
  // Every batch of the step, before the first is computed. group_R: the group of each sequence, which holds
  // all that its sequences share.
  void add(const data::PackedBatch& batch, std::span<const int64_t> group_R);

  std::vector<float> weights(const Batch& batch) const;  // 1 / copies of each row, [T]
  // The same among the rows that end a sequence, to which a last layer may keep; 0 for others.
  std::vector<float> last_weights(const Batch& batch) const;
  std::vector<int64_t> groups(const Batch& batch) const;  // the number of each row's group, from 0, [T]
  int64_t num_groups() const { return static_cast<int64_t>(sizes_.size()); }
  // Sums of the weights over the whole step of each group, [G].
  std::vector<float> group_totals() const;
  std::vector<float> group_last_totals() const;
  // The step's sums of the weights.
  double total() const { return static_cast<double>(rows_.size()); }
  double total_last() const { return static_cast<double>(num_last_); }

 private:
  struct Row {
    int64_t group = -1, copies = 0, last_copies = 0;
  };
  struct GroupSize {
    int64_t rows = 0, last_rows = 0;  // distinct ones
  };
  std::unordered_map<uint64_t, Row> rows_;       // by row key
  std::unordered_map<int64_t, int64_t> groups_;  // number of each group
  std::vector<GroupSize> sizes_;
  int64_t num_last_ = 0;
};

}  // namespace dmoerm::nn
