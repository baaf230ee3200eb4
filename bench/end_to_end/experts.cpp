#include "bench/end_to_end/experts.h"

namespace dmoerm::bench {

std::vector<models::Adapter> draw_adapters(const nn::Decoder& decoder, const Setting& setting,
                                           int64_t count) {
  torch::manual_seed(static_cast<int64_t>(setting.seed));
  const models::LoraOptions options = {.rank = setting.rank, .alpha = static_cast<double>(setting.rank)};
  std::vector<models::Adapter> adapters;
  for (int64_t k = 0; k < count; ++k) {
    adapters.push_back(models::new_adapter(decoder, options, setting.seed + static_cast<uint64_t>(k)));
    for (auto& [name, pair] : adapters.back().lora.pairs)
      pair.b = torch::randn(pair.b.sizes(), pair.b.options()) * 0.02;
  }
  return adapters;
}

nn::ExpertSet draw_experts(const nn::Decoder& decoder, const Setting& setting, int64_t count) {
  nn::ExpertSet set;
  for (models::Adapter& adapter : draw_adapters(decoder, setting, count)) {
    set.dropout_keys.push_back(set.experts.size());
    set.experts.push_back(std::move(adapter.lora));
  }
  return set;
}

}  // namespace dmoerm::bench
