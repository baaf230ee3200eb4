#include "dmoerm/nn/joined_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "dmoerm/core/error.h"
#include "dmoerm/nn/decoder.h"

namespace dmoerm::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool are_neighbours(const std::vector<Tensor>& parts) {
  const Tensor& first = parts.front();
  int64_t offset = first.storage_offset();
  for (const Tensor& part : parts) {
    if (!part.is_contiguous() || !part.is_alias_of(first) || part.storage_offset() != offset ||
        part.scalar_type() != first.scalar_type() || part.requires_grad() != first.requires_grad())
      return false;
    offset += part.numel();
  }
  return true;
}

// A tensor over the parts' memory that autograd does not take for a view of theirs.
Tensor over_all(const std::vector<Tensor>& parts) {
  const Tensor& first = parts.front();
  std::vector<int64_t> sizes = first.sizes().vec();
  sizes[0] = 0;
  for (const Tensor& part : parts) sizes[0] += part.size(0);
  const torch::NoGradGuard no_grad;
  return torch::empty({0}, first.options())
      .set_(first.storage(), first.storage_offset(), sizes, first.strides());
}

class JoinRows : public torch::autograd::Function<JoinRows> {
 public:
  static Tensor forward(AutogradContext* context, at::TensorList parts) {
    std::vector<int64_t> rows;
    for (const Tensor& part : parts) rows.push_back(part.size(0));
    context->saved_data["rows"] = rows;
    return over_all(parts.vec());
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    variable_list result;
    int64_t begin = 0;
    for (const int64_t rows : context->saved_data["rows"].toIntVector()) {
      result.push_back(grads[0].defined() ? grads[0].narrow(0, begin, rows) : Tensor());
      begin += rows;
    }
    return result;
  }
};

// What is joined: the weights, and the biases, of projections that share their input.
std::vector<std::vector<std::string>> joined_names(const DecoderConfig& config) {
  std::vector<std::vector<std::string>> result;
  for (int64_t layer = 0; layer < config.num_layers; ++layer)
    for (const char* kind : {"weight", "bias"}) {
      const auto name = [&](const char* linear) {
        return fmt::format("layers.{}.{}.{}", layer, linear, kind);
      };
      result.push_back({name("self_attn.q_proj"), name("self_attn.k_proj"), name("self_attn.v_proj")});
      result.push_back({name("mlp.gate_proj"), name("mlp.up_proj")});
      result.push_back({name("mlp.shared_expert.gate_proj"), name("mlp.shared_expert.up_proj")});
    }
  return result;
}

}  // namespace

void join_weights(const DecoderConfig& config, NamedTensors& weights) {
  const torch::NoGradGuard no_grad;
  for (const std::vector<std::string>& names : joined_names(config)) {
    if (!std::ranges::all_of(names, [&](const std::string& name) { return weights.count(name) > 0; }))
      continue;
    std::vector<Tensor> parts;
    for (const std::string& name : names) parts.push_back(weights.at(name));
    const Tensor all = torch::cat(parts);
    int64_t begin = 0;
    for (const std::string& name : names) {
      Tensor& weight = weights.at(name);
      const int64_t rows = weight.size(0);
      weight = all.narrow(0, begin, rows);
      begin += rows;
    }
  }
}

std::vector<std::string> joined_order(const DecoderConfig& config) {
  const auto shapes = weight_shapes(config);
  std::vector<std::string> order;
  for (const std::vector<std::string>& names : joined_names(config))
    for (const std::string& name : names)
      if (shapes.count(name) > 0) order.push_back(name);
  const std::set<std::string> placed(order.begin(), order.end());
  for (const auto& [name, shape] : shapes)
    if (placed.count(name) == 0) order.push_back(name);
  return order;
}

Tensor joined_rows(const std::vector<Tensor>& parts) {
  DMOERM_ASSERT(!parts.empty());
  if (!are_neighbours(parts)) return {};
  const bool with_gradient = torch::GradMode::is_enabled() && parts.front().requires_grad();
  const at::TensorList list = parts;
  return with_gradient ? JoinRows::apply(list) : over_all(parts);
}

}  // namespace dmoerm::nn
