#include "dmoerm/nn/step_rows.h"

#include <algorithm>

#include "dmoerm/core/error.h"

namespace dmoerm::nn {
namespace {

// The rows of the tree that holds `row`, as [begin, end).
std::pair<int64_t, int64_t> tree_of(const data::SegmentTable& table, int64_t row) {
  const auto begin_of = [&](int32_t root) { return int64_t{table.segments[root].begin}; };
  const auto next = std::upper_bound(table.roots.begin(), table.roots.end(), row,
                                     [&](int64_t value, int32_t root) { return value < begin_of(root); });
  return {begin_of(*std::prev(next)), next == table.roots.end() ? table.num_rows : begin_of(*next)};
}

}  // namespace

void StepRows::add(const data::PackedBatch& batch, std::span<const int64_t> group_R) {
  DMOERM_ASSERT(group_R.size() == batch.last_token.size());
  for (const uint64_t key : batch.row_keys) ++rows_[key].copies;
  for (size_t r = 0; r < group_R.size(); ++r) {
    const int64_t group = groups_.emplace(group_R[r], groups_.size()).first->second;
    sizes_.resize(groups_.size());
    const auto [begin, end] = tree_of(*batch.segments, batch.last_token[r]);
    for (int64_t i = begin; i < end; ++i) {
      Row& row = rows_.at(batch.row_keys[i]);
      sizes_[group].rows += row.group < 0;
      row.group = group;
    }
  }
  std::vector<int64_t> last = batch.last_token;
  std::sort(last.begin(), last.end());
  last.erase(std::unique(last.begin(), last.end()), last.end());
  for (const int64_t i : last) {
    Row& row = rows_.at(batch.row_keys[i]);
    if (++row.last_copies > 1) continue;
    ++num_last_;
    ++sizes_[row.group].last_rows;
  }
}

std::vector<float> StepRows::weights(const Batch& batch) const {
  std::vector<float> weight_T;
  for (const uint64_t key : batch.row_keys) weight_T.push_back(1 / static_cast<float>(rows_.at(key).copies));
  return weight_T;
}

std::vector<float> StepRows::last_weights(const Batch& batch) const {
  std::vector<float> weight_T;
  for (const uint64_t key : batch.row_keys) {
    const int64_t copies = rows_.at(key).last_copies;
    weight_T.push_back(copies > 0 ? 1 / static_cast<float>(copies) : 0);
  }
  return weight_T;
}

std::vector<int64_t> StepRows::groups(const Batch& batch) const {
  std::vector<int64_t> group_T;
  for (const uint64_t key : batch.row_keys) group_T.push_back(rows_.at(key).group);
  return group_T;
}

std::vector<float> StepRows::group_totals() const {
  std::vector<float> total_G;
  for (const GroupSize& size : sizes_) total_G.push_back(static_cast<float>(size.rows));
  return total_G;
}

std::vector<float> StepRows::group_last_totals() const {
  std::vector<float> total_G;
  for (const GroupSize& size : sizes_) total_G.push_back(static_cast<float>(size.last_rows));
  return total_G;
}

}  // namespace dmoerm::nn
