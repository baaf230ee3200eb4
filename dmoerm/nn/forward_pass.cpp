#include "dmoerm/nn/forward_pass.h"

#include <algorithm>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/nn/joined_weights.h"
#include "dmoerm/nn/rotary_frequencies.h"
#include "dmoerm/ops/rms_norm.h"
#include "dmoerm/ops/rotary.h"

namespace dmoerm::nn {
namespace {

double common_dropout(const ExpertSet& set) {
  if (!set.training || set.experts.empty()) return 0;
  const double probability = set.experts.front().dropout;
  for (const LoraExpert& expert : set.experts)
    if (expert.dropout != probability)
      fail("experts", "dropout {} and {} cannot be trained together: expected one value", probability,
           expert.dropout);
  return probability;
}

// Keys of the batch's rows with the number of each row's expert mixed in.
std::vector<uint64_t> dropout_keys(const Batch& batch, const ExpertSet& set) {
  DMOERM_ASSERT(set.dropout_keys.size() == set.experts.size());
  DMOERM_ASSERT(batch.row_keys.size() == static_cast<size_t>(batch.tokens_T.size(0)));
  std::vector<uint64_t> keys = batch.row_keys;
  for (size_t e = 0; e < set.experts.size(); ++e)
    for (int64_t row = batch.expert_offsets[e]; row < batch.expert_offsets[e + 1]; ++row)
      keys[row] = hash_combine(keys[row], set.dropout_keys[e]);
  return keys;
}

// [T, rotated channels / 2] float32. A sequence that is long enough for frequencies of its own shares
// nothing: it is a segment without a parent.
Tensor rotary_angles(const DecoderConfig& config, const Tensor& frequencies, const Batch& batch) {
  const Tensor positions_T1 = batch.positions_T.to(torch::kFloat32).unsqueeze(1);
  const Tensor angles_TC = positions_T1 * frequencies;
  for (const data::Segment& segment : batch.segments->segments) {
    const int64_t length = batch.segments->position_of(segment) + segment.length;
    if (length <= config.rotary.longest_common()) continue;
    DMOERM_ASSERT(segment.parent < 0);
    const Tensor own = rotary_frequencies(config.rotary, config.rotated_channels(), length);
    angles_TC.narrow(0, segment.begin, length)
        .copy_(positions_T1.narrow(0, segment.begin, length) * copy_to_device(own, positions_T1.device()));
  }
  return angles_TC;
}

}  // namespace

ForwardPass::ForwardPass(const DecoderConfig& config, const NamedTensors& weights, const Tensor& frequencies,
                         const Batch& batch, const ExpertSet* experts, const RoutingOptions& routing)
    : config_(config), weights_(weights), batch_(batch), experts_(experts), routing_(routing) {
  const Tensor angles_TC = rotary_angles(config, frequencies, batch);
  const double factor = rotary_attention_factor(config.rotary);
  cos_TC = angles_TC.cos() * factor;
  sin_TC = angles_TC.sin() * factor;
  if (experts_ == nullptr) return;
  DMOERM_ASSERT(batch.expert_offsets.size() == experts_->experts.size() + 1);
  all_rows_.expert_offsets = batch.expert_offsets;
  dropout_ = common_dropout(*experts_);
  if (dropout_ > 0) all_rows_.dropout_keys = dropout_keys(batch, *experts_);
}

Rows ForwardPass::last_rows() const {
  Rows rows;
  rows.index = batch_.last_token;
  std::sort(rows.index.begin(), rows.index.end());
  rows.index.erase(std::unique(rows.index.begin(), rows.index.end()), rows.index.end());
  rows.index_Q = copy_to_device(rows.index, batch_.tokens_T.device());
  for (const int64_t offset : all_rows_.expert_offsets)
    rows.expert_offsets.push_back(std::lower_bound(rows.index.begin(), rows.index.end(), offset) -
                                  rows.index.begin());
  if (dropout_ > 0)
    for (const int64_t row : rows.index) rows.dropout_keys.push_back(all_rows_.dropout_keys[row]);
  return rows;
}

std::vector<uint64_t> ForwardPass::row_keys(const Rows& rows) const {
  if (rows.index.empty()) return batch_.row_keys;
  std::vector<uint64_t> keys;
  for (const int64_t row : rows.index) keys.push_back(batch_.row_keys[row]);
  return keys;
}

const Tensor& ForwardPass::weight(const std::string& name) const {
  const auto found = weights_.find(name);
  DMOERM_ASSERT(found != weights_.end());
  return found->second;
}

void ForwardPass::add_updates(const std::string& name, const Rows& rows, int64_t column,
                              std::vector<ops::LowRankUpdate>& updates) const {
  for (size_t e = 0; experts_ != nullptr && e < experts_->experts.size(); ++e) {
    const auto pair = experts_->experts[e].pairs.find(name);
    if (pair == experts_->experts[e].pairs.end()) continue;
    const int64_t begin = rows.expert_offsets[e];
    updates.push_back({pair->second, begin, rows.expert_offsets[e + 1] - begin, column});
  }
}

Tensor ForwardPass::linear(const std::string& name, const Tensor& x_QI, const Rows& rows) const {
  const auto bias = weights_.find(name + ".bias");
  std::vector<ops::LowRankUpdate> updates;
  add_updates(name, rows, 0, updates);
  ops::RowDropout dropout;
  if (!updates.empty() && dropout_ > 0)
    dropout = {dropout_, hash64(name, experts_->dropout_seed), rows.dropout_keys};
  return ops::expert_linear(x_QI, weight(name + ".weight"), bias == weights_.end() ? Tensor() : bias->second,
                            updates, dropout);
}

Tensor ForwardPass::joined_linear(const std::vector<std::string>& names, const Tensor& x_QI,
                                  const Rows& rows) const {
  std::vector<Tensor> weights, biases;
  std::vector<ops::LowRankUpdate> updates;
  int64_t column = 0;
  for (const std::string& name : names) {
    weights.push_back(weight(name + ".weight"));
    if (const auto bias = weights_.find(name + ".bias"); bias != weights_.end())
      biases.push_back(bias->second);
    add_updates(name, rows, column, updates);
    column += weights.back().size(0);
  }
  if (!updates.empty() && dropout_ > 0) return {};
  const Tensor weight_OI = joined_rows(weights);
  if (!weight_OI.defined()) return {};
  const Tensor bias_O = biases.size() == names.size() ? joined_rows(biases) : Tensor();
  return ops::expert_linear(x_QI, weight_OI, bias_O, updates);
}

Tensor ForwardPass::norm(const std::string& name, const Tensor& x_QD, std::optional<double> eps) const {
  const Tensor& scale_D = weight(name + ".weight");
  const double epsilon = eps.value_or(config_.norm_eps);
  if (config_.norm == NormKind::Rms) return ops::rms_norm(x_QD, scale_D, epsilon);
  return torch::layer_norm(x_QD, scale_D.sizes(), scale_D, weight(name + ".bias"), epsilon);
}

ops::NormedSum ForwardPass::norm_of_sum(const std::string& name, const Residual& residual) const {
  const auto& [x_TD, delta_TD] = residual;
  if (!delta_TD.defined()) return {x_TD, norm(name, x_TD)};
  if (config_.norm == NormKind::Rms)
    return ops::add_rms_norm(x_TD, delta_TD, weight(name + ".weight"), config_.norm_eps);
  const Tensor sum_TD = x_TD + delta_TD;
  return {sum_TD, norm(name, sum_TD)};
}

Tensor ForwardPass::rotate(const Tensor& x_QHC, const Rows& rows) const {
  return ops::rotary(x_QHC, rows.select(cos_TC), rows.select(sin_TC));
}

}  // namespace dmoerm::nn
