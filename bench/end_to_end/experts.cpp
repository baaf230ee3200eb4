#include "bench/end_to_end/experts.h"

#include "dmoerm/models/adapter.h"

namespace dmoerm::bench {

nn::ExpertSet draw_experts(const nn::Decoder& decoder, const Setting& setting, int64_t count) {
  torch::manual_seed(static_cast<int64_t>(setting.seed));
  nn::ExpertSet set;
  for (int64_t k = 0; k < count; ++k) {
    const models::LoraOptions options = {.rank = setting.rank, .alpha = static_cast<double>(setting.rank)};
    models::Adapter adapter = models::new_adapter(decoder, options, setting.seed + static_cast<uint64_t>(k));
    for (auto& [name, pair] : adapter.lora.pairs)
      pair.b = torch::randn(pair.b.sizes(), pair.b.options()) * 0.02;
    set.experts.push_back(std::move(adapter.lora));
    set.dropout_keys.push_back(static_cast<uint64_t>(k));
  }
  return set;
}

}  // namespace dmoerm::bench
