// Helpers of the tests of ops: random segment tables, comparisons, gradients.
#pragma once

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
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

// Gradients of loss() against central differences: three numbers of each leaf (float64), within `tolerance`.
inline void expect_finite_differences(const std::function<Tensor()>& loss, const std::vector<Tensor>& leaves,
                                      double tolerance) {
  const auto grads = torch::autograd::grad({loss()}, {leaves.begin(), leaves.end()});
  torch::NoGradGuard no_grad;
  std::mt19937_64 random(1);
  for (size_t i = 0; i < leaves.size(); ++i)
    for (int n = 0; n < 3; ++n) {
      const auto index = static_cast<int64_t>(random() % leaves[i].numel());
      double& value = leaves[i].data_ptr<double>()[index];
      const double start = value, step = 1e-5;
      value = start + step;
      const double above = loss().item<double>();
      value = start - step;
      const double below = loss().item<double>();
      value = start;
      const double expected = (above - below) / (2 * step);
      EXPECT_NEAR(grads[i].flatten()[index].item<double>(), expected,
                  tolerance * std::max(1.0, std::abs(expected)))
          << "leaf " << i << " number " << index;
    }
}

}  // namespace dmoerm::ops
