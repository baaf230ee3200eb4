// One pass through a decoder: the weights, rows and experts that the parts of a block work with.
// T rows, Q rows that a layer computes, I inputs, O outputs, C head size.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dmoerm/core/safetensors.h"
#include "dmoerm/nn/batch.h"
#include "dmoerm/nn/decoder_config.h"
#include "dmoerm/nn/expert_set.h"
#include "dmoerm/nn/recompute.h"
#include "dmoerm/nn/routing_trace.h"
#include "dmoerm/ops/rms_norm.h"

namespace dmoerm::nn {

// The rows for which a layer computes its output: all, or (in the last layer) each sequence's last token.
struct Rows {
  std::vector<int64_t> index;           // ascending; empty: all
  Tensor index_Q;                       // the same on the device; undefined: all
  std::vector<int64_t> expert_offsets;  // into these rows
  std::vector<uint64_t> dropout_keys;   // of these rows; empty: no dropout

  Tensor select(const Tensor& x_T) const { return index_Q.defined() ? x_T.index_select(0, index_Q) : x_T; }
};

class ForwardPass {
 public:
  // All arguments but the batch outlive the pass. `experts` may be null: every row is then the base's.
  ForwardPass(const DecoderConfig& config, const NamedTensors& weights, const Tensor& frequencies,
              const Batch& batch, const ExpertSet* experts, const RoutingOptions& routing = {});

  const DecoderConfig& config() const { return config_; }
  const std::shared_ptr<const data::SegmentTable>& segments() const { return batch_.segments; }
  const Rows& all_rows() const { return all_rows_; }
  Rows last_rows() const;

  const ExpertSet* experts() const { return experts_; }
  double dropout() const { return dropout_; }  // of the experts' updates
  const RoutingOptions& routing() const { return routing_; }
  std::vector<uint64_t> row_keys(const Rows& rows) const;  // of the batch

  const Tensor& weight(const std::string& name) const;
  // x_QI [Q, I] -> [Q, O]: the linear layer `name`, its bias, and each expert's LoRA on the expert's own
  // rows.
  Tensor linear(const std::string& name, const Tensor& x_QI, const Rows& rows) const;
  // The linear layers `names` as one product, their outputs side by side: [Q, sum of O]. Undefined where
  // their weights are not joined, or where dropout draws apart for each.
  Tensor joined_linear(const std::vector<std::string>& names, const Tensor& x_QI, const Rows& rows) const;
  // The norm `name` over the last dimension; with the configuration's epsilon where none is given.
  Tensor norm(const std::string& name, const Tensor& x_QD, std::optional<double> eps = {}) const;
  // The residual stream added up, and the norm `name` of it.
  ops::NormedSum norm_of_sum(const std::string& name, const Residual& residual) const;
  // x_QHC [Q, H, C], its first channels (or all) turned by the rows' positions.
  Tensor rotate(const Tensor& x_QHC, const Rows& rows) const;

 private:
  // The experts' updates of layer `name`, whose outputs begin at `column`.
  void add_updates(const std::string& name, const Rows& rows, int64_t column,
                   std::vector<ops::LowRankUpdate>& updates) const;

  const DecoderConfig& config_;
  const NamedTensors& weights_;
  const Batch batch_;
  const ExpertSet* experts_;
  RoutingOptions routing_;
  double dropout_ = 0;
  Rows all_rows_;
  Tensor cos_TC, sin_TC;  // [T, rotated channels / 2] float32
};

}  // namespace dmoerm::nn
