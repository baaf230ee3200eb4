// Helpers of the tests of ops: random segment tables, comparisons, gradients.
#pragma once

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <random>

#include "dmoerm/core/compat.h"
#include "dmoerm/data/packing.h"

namespace dmoerm::ops {

// Trees given as {root length, child lengths…}.
inline std::shared_ptr<const data::SegmentTable> make_table(const std::vector<std::vector<int32_t>>& trees) {
  auto table = std::make_shared<data::SegmentTable>();
  for (const auto& tree : trees) {
    const auto root = static_cast<int32_t>(table->segments.size());
    table->roots.push_back(root);
    for (size_t i = 0; i < tree.size(); ++i) {
      table->segments.push_back({static_cast<int32_t>(table->num_rows), tree[i], i == 0 ? -1 : root});
      table->num_rows += tree[i];
    }
  }
  return table;
}

// Largest difference over the largest expected value or 1, whichever is more.
inline double relative_error(const Tensor& actual, const Tensor& expected) {
  EXPECT_EQ(actual.sizes(), expected.sizes());
  if (expected.numel() == 0) return 0;
  const Tensor difference = (actual.to(torch::kFloat64) - expected.to(torch::kFloat64)).abs().max();
  const double error = difference.item<double>();
  return error / std::max(1.0, expected.to(torch::kFloat64).abs().max().item<double>());
}

// Leaves with the same values that require a gradient.
inline std::vector<Tensor> as_leaves(const std::vector<Tensor>& values) {
  std::vector<Tensor> leaves;
  for (const Tensor& value : values) leaves.push_back(value.detach().clone().set_requires_grad(true));
  return leaves;
}

// Gradients of sum(output * direction) with respect to the inputs.
inline std::vector<Tensor> gradients(const Tensor& output, const Tensor& direction,
                                     const std::vector<Tensor>& inputs) {
  return torch::autograd::grad({output}, {inputs.begin(), inputs.end()}, {direction});
}

}  // namespace dmoerm::ops
