// The stacked experts of a MoE layer with the LoRA experts' updates on them.
#include <algorithm>
#include <charconv>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/nn/activation.h"
#include "dmoerm/nn/moe_layer.h"
#include "dmoerm/ops/grouped_linear.h"

namespace dmoerm::nn {
namespace {

// The outputs that a projection of one expert stands for.
struct Projection {
  std::string_view name;
  int64_t column = 0;
};

// Splits "3.gate_proj", what follows "layers.N.mlp.experts.".
std::pair<int64_t, std::string_view> split_name(std::string_view name) {
  int64_t expert = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), expert);
  DMOERM_ASSERT(error == std::errc() && end != name.data() + name.size() && *end == '.');
  return {expert, name.substr(end - name.data() + 1)};
}

// Where the sorted rows come from, on the host: updates are ranges of them. Rows of MoE expert j are sorted
// by row, so those of a LoRA expert are a range among them.
struct SortedRows {
  std::vector<int64_t> offsets, rows;
};

bool any_updates(const ExpertSet* set, const std::string& prefix) {
  if (set == nullptr) return false;
  return std::ranges::any_of(set->experts, [&](const LoraExpert& expert) {
    const auto pair = expert.pairs.lower_bound(prefix);
    return pair != expert.pairs.end() && pair->first.starts_with(prefix);
  });
}

// The updates of stacked tensor `prefix` by all LoRA experts.
std::vector<ops::LowRankUpdate> lora_updates(const ExpertSet& set, const std::string& prefix,
                                             const std::vector<Projection>& projections,
                                             const SortedRows& sorted, const Rows& rows) {
  std::vector<ops::LowRankUpdate> updates;
  for (size_t e = 0; e < set.experts.size(); ++e) {
    const auto& pairs = set.experts[e].pairs;
    for (auto pair = pairs.lower_bound(prefix); pair != pairs.end() && pair->first.starts_with(prefix);
         ++pair) {
      const auto [expert, name] = split_name(std::string_view(pair->first).substr(prefix.size()));
      const auto projection = std::ranges::find(projections, name, &Projection::name);
      if (projection == projections.end()) continue;
      DMOERM_ASSERT(expert + 1 < static_cast<int64_t>(sorted.offsets.size()));
      const auto first = sorted.rows.begin() + sorted.offsets[expert];
      const auto last = sorted.rows.begin() + sorted.offsets[expert + 1];
      const auto begin = std::lower_bound(first, last, rows.expert_offsets[e]);
      const auto end = std::lower_bound(begin, last, rows.expert_offsets[e + 1]);
      updates.push_back({pair->second, begin - sorted.rows.begin(), end - begin, projection->column});
    }
  }
  return updates;
}

// A row draws its mask anew in each of its experts.
std::vector<uint64_t> sorted_keys(const SortedRows& sorted, const std::vector<uint64_t>& row_keys) {
  std::vector<uint64_t> keys(sorted.rows.size());
  for (size_t expert = 0; expert + 1 < sorted.offsets.size(); ++expert)
    for (int64_t i = sorted.offsets[expert]; i < sorted.offsets[expert + 1]; ++i)
      keys[i] = hash_combine(row_keys[sorted.rows[i]], expert);
  return keys;
}

}  // namespace

Tensor moe_experts(const ForwardPass& pass, int64_t layer, const Tensor& x_ND, const ops::Dispatch& plan,
                   const Rows& rows) {
  const std::string prefix = fmt::format("layers.{}.mlp.experts.", layer);
  const int64_t width = pass.config().moe->intermediate_size;
  const bool updated = any_updates(pass.experts(), prefix);
  const SortedRows sorted = updated ? SortedRows{plan.offsets.host(), plan.rows()} : SortedRows();
  const auto grouped = [&](const char* name, const Tensor& x, const std::vector<Projection>& projections) {
    std::vector<ops::LowRankUpdate> updates;
    if (updated) updates = lora_updates(*pass.experts(), prefix, projections, sorted, rows);
    std::vector<uint64_t> keys;
    ops::RowDropout dropout;
    if (!updates.empty() && pass.dropout() > 0) {
      keys = sorted_keys(sorted, rows.dropout_keys);
      dropout = {pass.dropout(), hash64(prefix + name, pass.experts()->dropout_seed), keys};
    }
    return ops::grouped_linear(x, pass.weight(prefix + name), {}, plan.offsets, updates, dropout);
  };
  const Tensor h_NF = grouped("gate_up_proj", x_ND, {{"gate_up_proj"}, {"gate_proj"}, {"up_proj", width}});
  return grouped("down_proj", gated_halves(pass.config().activation, h_NF), {{"down_proj"}});
}

}  // namespace dmoerm::nn
