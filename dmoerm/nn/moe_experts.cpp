// The stacked experts of a MoE layer with the LoRA experts' updates on them.
#include <algorithm>
#include <charconv>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/nn/activation.h"
#include "dmoerm/nn/moe_layer.h"
#include "dmoerm/ops/grouped_linear.h"
#include "dmoerm/ops/sum_type.h"

namespace dmoerm::nn {
namespace {

// The outputs that a projection of one expert stands for.
struct Projection {
  std::string_view name;
  int64_t column = 0;
};

std::string experts_prefix(int64_t layer) {
  return fmt::format("layers.{}.mlp.experts.", layer);
}

// Calls body(expert, "gate_proj", pair) for the pairs whose name begins with the prefix.
template <typename Body>
void for_expert_pairs(const LoraExpert& lora, const std::string& prefix, Body body) {
  for (auto pair = lora.pairs.lower_bound(prefix);
       pair != lora.pairs.end() && pair->first.starts_with(prefix); ++pair) {
    const std::string_view name = std::string_view(pair->first).substr(prefix.size());  // "3.gate_proj"
    int64_t expert = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), expert);
    DMOERM_ASSERT(error == std::errc() && end != name.data() + name.size() && *end == '.');
    body(expert, name.substr(end - name.data() + 1), pair->second);
  }
}

// The pairs of all groups on one stacked tensor, so that one grouped product takes them all, without offsets
// on the host. G groups, R the largest sum of a group's ranks, rounded up: what is left of a group's rank is
// zero. In the weights' type, in which the pairs' gradients are computed too; those of experts without rows
// are zero.
struct StackedPairs {
  Tensor a_GRI, b_GOR;  // undefined: no pairs
};

StackedPairs stack_pairs(const ExpertSet& set, const std::string& prefix,
                         const std::vector<Projection>& projections, const Tensor& weight_EOI,
                         int64_t num_groups) {
  const int64_t parts = num_groups / weight_EOI.size(0), num_outputs = weight_EOI.size(1);
  std::vector<std::vector<int64_t>> ranks_of(num_groups);  // rows of all A, one under another
  std::vector<Tensor> all_a, all_b;
  int64_t rank = 0;
  for (const Projection& projection : projections) {
    std::vector<Tensor> b;
    std::vector<double> scales;
    for (size_t e = 0; e < set.experts.size(); ++e)
      for_expert_pairs(set.experts[e], prefix,
                       [&](int64_t expert, std::string_view name, const ops::LoraPair& pair) {
                         if (name != projection.name) return;
                         DMOERM_ASSERT(expert < weight_EOI.size(0));
                         all_a.push_back(pair.a);
                         b.push_back(pair.b);
                         scales.insert(scales.end(), pair.a.size(0), pair.scale);
                         std::vector<int64_t>& ranks = ranks_of[expert * parts + static_cast<int64_t>(e) + 1];
                         for (int64_t r = 0; r < pair.a.size(0); ++r) ranks.push_back(rank++);
                       });
    if (b.empty()) continue;
    // In float32 at least: bfloat16 would round the scale.
    const Tensor b_OR =
        torch::cat(b, 1) * copy_to_device(scales, weight_EOI.device()).to(ops::sum_type(b.front()));
    all_b.push_back(torch::constant_pad_nd(
        b_OR, {0, 0, projection.column, num_outputs - projection.column - b_OR.size(0)}));
  }
  if (rank == 0) return {};
  constexpr int64_t kMultiple = 8;  // 16 bytes of bfloat16: what grouped products take
  int64_t largest = 0;
  for (const auto& ranks : ranks_of) largest = std::max(largest, static_cast<int64_t>(ranks.size()));
  largest = (largest + kMultiple - 1) / kMultiple * kMultiple;
  std::vector<int64_t> chosen(num_groups * largest, rank);  // the row of zeros behind all others
  for (int64_t group = 0; group < num_groups; ++group)
    std::ranges::copy(ranks_of[group], chosen.begin() + group * largest);
  const Tensor chosen_X = copy_to_device(chosen, weight_EOI.device());
  all_a.push_back(torch::zeros({1, weight_EOI.size(2)}, all_a.front().options()));
  all_b.push_back(torch::zeros({num_outputs, 1}, all_b.front().options()));
  return {torch::cat(all_a)
              .to(weight_EOI.scalar_type())
              .index_select(0, chosen_X)
              .view({num_groups, largest, -1}),
          torch::cat(all_b, 1)
              .to(weight_EOI.scalar_type())
              .index_select(1, chosen_X)
              .view({num_outputs, num_groups, largest})
              .transpose(0, 1)
              .contiguous()};
}

// A row draws its mask anew for each of its choices.
std::vector<uint64_t> assignment_keys(const std::vector<uint64_t>& row_keys, int64_t top_k) {
  std::vector<uint64_t> keys;
  keys.reserve(row_keys.size() * top_k);
  for (const uint64_t key : row_keys)
    for (int64_t j = 0; j < top_k; ++j) keys.push_back(hash_combine(key, j));
  return keys;
}

}  // namespace

bool has_expert_pairs(const ForwardPass& pass, int64_t layer) {
  if (pass.experts() == nullptr) return false;
  const std::string prefix = experts_prefix(layer);
  return std::ranges::any_of(pass.experts()->experts, [&](const LoraExpert& expert) {
    const auto pair = expert.pairs.lower_bound(prefix);
    return pair != expert.pairs.end() && pair->first.starts_with(prefix);
  });
}

Tensor moe_experts(const ForwardPass& pass, int64_t layer, const Tensor& x_ND, const ops::Dispatch& plan,
                   const Rows& rows) {
  const std::string prefix = experts_prefix(layer);
  const MoeConfig& moe = *pass.config().moe;
  const int64_t num_experts = moe.router.num_experts, num_groups = plan.offsets.num_groups();
  const ops::GroupOffsets offsets = plan.offsets.joined(num_groups, num_groups / num_experts);
  std::vector<uint64_t> keys;
  if (num_groups > num_experts && pass.dropout() > 0)
    keys = assignment_keys(rows.dropout_keys, plan.slot_Tk.size(1));
  const auto grouped = [&](const char* name, const Tensor& x, const std::vector<Projection>& projections) {
    const Tensor& weight_EOI = pass.weight(prefix + name);
    const Tensor y = ops::grouped_linear(x, weight_EOI, {}, offsets);
    if (num_groups == num_experts) return y;
    const auto [a_GRI, b_GOR] = stack_pairs(*pass.experts(), prefix, projections, weight_EOI, num_groups);
    if (!a_GRI.defined()) return y;
    const Tensor dropped = ops::row_dropout(
        x, {pass.dropout(), hash64(prefix + name, pass.experts()->dropout_seed), keys, plan.place_N});
    return y + ops::grouped_linear(ops::grouped_linear(dropped, a_GRI, {}, plan.offsets), b_GOR, {},
                                   plan.offsets);
  };
  const Tensor h_NF =
      grouped("gate_up_proj", x_ND, {{"gate_up_proj"}, {"gate_proj"}, {"up_proj", moe.intermediate_size}});
  return grouped("down_proj", gated_halves(pass.config().activation, h_NF), {{"down_proj"}});
}

}  // namespace dmoerm::nn
