#include "bench/end_to_end/packed_flops.h"

#include "dmoerm/data/packing.h"

namespace dmoerm::bench {

double packed_flops(const nn::DecoderConfig& config, const Workload& workload) {
  std::vector<data::PackItem> items;
  for (size_t p = 0; p < workload.prompts.size(); ++p)
    for (const Sequence& sequence : workload.prompts[p])
      items.push_back({sequence, static_cast<int64_t>(p), -1});
  const data::PackedBatch batch = data::pack(items);
  double seen = 0, seen_by_last = 0;  // (query, key) pairs
  for (const data::Segment& segment : batch.segments->segments)
    seen += segment.length * (batch.segments->position_of(segment) + (segment.length + 1) / 2.0);
  for (const int64_t row : batch.last_token) seen_by_last += static_cast<double>(batch.positions[row] + 1);

  const auto layers = static_cast<double>(config.num_layers), rows = static_cast<double>(batch.num_tokens());
  const auto last_rows = static_cast<double>(batch.last_token.size());
  const double layer = static_cast<double>(config.num_matmul_parameters()) / layers;
  const auto keys_values =
      static_cast<double>(2 * config.hidden_size * config.num_kv_heads * config.head_dim);
  const double linear = (layers - 1) * layer * rows + keys_values * rows + (layer - keys_values) * last_rows;
  const double attention =
      static_cast<double>(2 * config.num_heads * config.head_dim) * ((layers - 1) * seen + seen_by_last);
  return 2 * (linear + attention);
}

}  // namespace dmoerm::bench
