// Group attention in plain operations: one dense softmax for each segment's queries.
#include <algorithm>
#include <limits>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/group_attention.h"
#include "dmoerm/ops/sum_type.h"

namespace dmoerm::ops {
namespace {

// Positions of the queries in [begin, end) of the table's rows, as indices into the keys [parent; segment].
Tensor query_positions(const data::SegmentTable& table, const data::Segment& segment,
                       std::span<const int64_t> rows) {
  std::vector<int64_t> positions(rows.size());
  const int64_t shift = table.position_of(segment) - segment.begin;
  std::ranges::transform(rows, positions.begin(), [&](int64_t row) { return row + shift; });
  return torch::tensor(positions, torch::kInt64);
}

// q_NHC queries of one segment, k_LGC and v_LGV everything they may see, p_N their positions -> [N, H, C].
Tensor attend(const Tensor& q_NHC, const Tensor& k_LGC, const Tensor& v_LGV, const Tensor& p_N, double scale,
              int64_t window) {
  const int64_t groups = k_LGC.size(1), heads_per_group = q_NHC.size(1) / groups;
  const auto type = sum_type(q_NHC);
  const Tensor q_GMNC =
      q_NHC.unflatten(1, std::vector<int64_t>{groups, heads_per_group}).permute({1, 2, 0, 3});
  const Tensor k_G1LC = k_LGC.transpose(0, 1).unsqueeze(1), v_G1LV = v_LGV.transpose(0, 1).unsqueeze(1);
  const Tensor keys_L = torch::arange(k_LGC.size(0), p_N.options());
  Tensor hidden_NL = keys_L > p_N.unsqueeze(1);
  if (window > 0) hidden_NL = hidden_NL | (keys_L <= p_N.unsqueeze(1) - window);
  Tensor scores_GMNL = torch::matmul(q_GMNC, k_G1LC.transpose(-1, -2)).to(type) * scale;
  scores_GMNL = scores_GMNL.masked_fill(hidden_NL, -std::numeric_limits<double>::infinity());
  const Tensor weights_GMNL = torch::softmax(scores_GMNL, -1).to(v_LGV.scalar_type());
  return torch::matmul(weights_GMNL, v_G1LV).permute({2, 0, 1, 3}).flatten(1, 2);
}

}  // namespace

Tensor group_attention_reference(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                                 const GroupAttentionOptions& options) {
  const data::SegmentTable& table = *options.segments;
  std::vector<int64_t> rows = options.query_rows;
  if (rows.empty()) {
    rows.resize(table.num_rows);
    for (int64_t row = 0; row < table.num_rows; ++row) rows[row] = row;
  }
  DMOERM_ASSERT(q_QHC.size(0) == static_cast<int64_t>(rows.size()) && k_TGC.size(0) == table.num_rows);

  const auto rows_of = [&](const Tensor& x_TGC, const data::Segment& segment) {
    const Tensor own = x_TGC.narrow(0, segment.begin, segment.length);
    if (segment.parent < 0) return own;
    const data::Segment& parent = table.segments[segment.parent];
    return torch::cat({x_TGC.narrow(0, parent.begin, parent.length), own});
  };
  std::vector<Tensor> outputs;
  for (const data::Segment& segment : table.segments) {
    const auto first = std::ranges::lower_bound(rows, segment.begin);
    const auto last = std::lower_bound(first, rows.end(), segment.begin + segment.length);
    if (first == last) continue;
    const Tensor positions = query_positions(table, segment, {first, last}).to(q_QHC.device());
    outputs.push_back(attend(q_QHC.narrow(0, first - rows.begin(), last - first), rows_of(k_TGC, segment),
                             rows_of(v_TGV, segment), positions, options.scale, options.window));
  }
  if (outputs.empty()) return q_QHC.new_zeros({0, q_QHC.size(1), v_TGV.size(2)});
  return torch::cat(outputs);
}

}  // namespace dmoerm::ops
