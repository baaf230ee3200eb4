// Group attention: the reference against a dense mask, the blocked kernel against the reference.
#include "dmoerm/ops/group_attention.h"

#include <limits>

#include "testing.h"

namespace dmoerm::ops {
namespace {

struct Case {
  std::string name;
  std::vector<std::vector<int32_t>> trees;
  int64_t heads = 4, groups = 2, channels = 16, value_channels = 16, window = 0;
  bool subset = false;  // only some rows have a query
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

struct Inputs {
  std::vector<Tensor> qkv;
  GroupAttentionOptions options;
};

Inputs make_inputs(const Case& c, torch::ScalarType type) {
  torch::manual_seed(7);
  Inputs inputs;
  inputs.options.segments = make_table(c.trees);
  inputs.options.scale = 1 / std::sqrt(static_cast<double>(c.channels));
  inputs.options.window = c.window;
  const int64_t rows = inputs.options.segments->num_rows;
  if (c.subset) {
    for (int64_t row = 0; row < rows; ++row)
      if (row % 7 == 3 || row == rows - 1) inputs.options.query_rows.push_back(row);
  }
  const int64_t queries = c.subset ? static_cast<int64_t>(inputs.options.query_rows.size()) : rows;
  inputs.qkv = {torch::randn({queries, c.heads, c.channels}, torch::kFloat64) * 2,
                torch::randn({rows, c.groups, c.channels}, torch::kFloat64) * 2,
                torch::randn({rows, c.groups, c.value_channels}, torch::kFloat64)};
  for (Tensor& x : inputs.qkv) x = x.to(type);
  return inputs;
}

// Independent form: one mask over all rows, built by walking each row's own sequence.
Tensor dense_attention(const Inputs& inputs) {
  const data::SegmentTable& table = *inputs.options.segments;
  const int64_t rows = table.num_rows, heads = inputs.qkv[0].size(1), groups = inputs.qkv[1].size(1);
  std::vector<int64_t> queries = inputs.options.query_rows;
  if (queries.empty())
    for (int64_t row = 0; row < rows; ++row) queries.push_back(row);
  const double masked = -std::numeric_limits<double>::infinity();
  Tensor mask = torch::full({static_cast<int64_t>(queries.size()), rows}, masked, torch::kFloat64);
  for (size_t i = 0; i < queries.size(); ++i) {
    for (const data::Segment& segment : table.segments) {
      if (queries[i] < segment.begin || queries[i] >= segment.begin + segment.length) continue;
      std::vector<int64_t> sequence;  // the rows before and at the query
      if (segment.parent >= 0) {
        const data::Segment& parent = table.segments[segment.parent];
        for (int64_t row = 0; row < parent.length; ++row) sequence.push_back(parent.begin + row);
      }
      for (int64_t row = segment.begin; row <= queries[i]; ++row) sequence.push_back(row);
      const auto seen = static_cast<int64_t>(sequence.size());
      const int64_t first =
          inputs.options.window > 0 ? std::max<int64_t>(0, seen - inputs.options.window) : 0;
      for (int64_t j = first; j < seen; ++j) mask[i][sequence[j]] = 0;
    }
  }
  const Tensor k = inputs.qkv[1].repeat_interleave(heads / groups, 1).transpose(0, 1);
  const Tensor v = inputs.qkv[2].repeat_interleave(heads / groups, 1).transpose(0, 1);
  const Tensor scores = inputs.qkv[0].transpose(0, 1).matmul(k.transpose(1, 2)) * inputs.options.scale + mask;
  return torch::softmax(scores, -1).matmul(v).transpose(0, 1);
}

std::vector<int32_t> many(int32_t root, int32_t children, int32_t length) {
  std::vector<int32_t> tree(children + 1, length);
  tree[0] = root;
  return tree;
}

const std::vector<Case> kCases = {
    {"one_token", {{1}}},
    {"one_sequence", {{300}}},
    {"pair", {{37, 20, 9}}},
    {"many_trees", {{5}, {1, 1, 1}, {130, 1, 64, 3}, {129}, {16, 300}, {2, 2, 2, 2}}},
    {"best_of_many", {many(200, 20, 17)}},
    {"multi_query", {{40, 30, 21}, {7}}, 6, 1},
    {"every_head_its_own", {{40, 30, 21}, {7}}, 3, 3},
    {"more_heads_than_a_block", {{40, 30, 21}, {7}}, 71, 1, 8, 8},
    {"head_4", {{140, 30}, {9, 5}}, 4, 2, 4, 4},
    {"head_20", {{140, 30}, {9, 5}}, 4, 2, 20, 20},
    {"head_64", {{140, 30}, {9, 5}}, 4, 2, 64, 64},
    {"head_128", {{140, 30}, {9, 5}}, 4, 2, 128, 128},
    {"head_1", {{30, 3}}, 2, 1, 1, 1},
    {"head_256", {{30, 3}}, 2, 1, 256, 256},
    {"values_of_another_size", {{140, 30}, {9, 5}}, 4, 4, 24, 12},
    {"window_1", {{20, 30}, {9, 5}}, 4, 2, 16, 16, 1},
    {"window_40", {{170, 150, 30}, {9, 5}}, 4, 2, 16, 16, 40},
    {"window_longer_than_all", {{50, 30}, {9, 5}}, 4, 2, 16, 16, 1000},
    {"subset", {{170, 150, 30}, {9, 5}, {3}}, 4, 2, 16, 16, 0, true},
    {"subset_window", {{170, 150, 30}, {9, 5}, {300}}, 4, 2, 16, 16, 33, true},
};

class GroupAttention : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Shapes, GroupAttention, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

TEST_P(GroupAttention, ReferenceEqualsDenseMask) {
  const Inputs inputs = make_inputs(GetParam(), torch::kFloat64);
  const auto& [q, k, v] = std::tie(inputs.qkv[0], inputs.qkv[1], inputs.qkv[2]);
  EXPECT_LT(relative_error(group_attention_reference(q, k, v, inputs.options), dense_attention(inputs)),
            1e-12);
}

TEST_P(GroupAttention, KernelEqualsReferenceForwardAndBackward) {
  const Inputs exact = make_inputs(GetParam(), torch::kFloat64);
  const std::vector<Tensor> expected_in = as_leaves(exact.qkv);
  const Tensor expected =
      group_attention_reference(expected_in[0], expected_in[1], expected_in[2], exact.options);
  const Inputs inputs = make_inputs(GetParam(), torch::kFloat32);
  const std::vector<Tensor> actual_in = as_leaves(inputs.qkv);
  const Tensor actual = group_attention(actual_in[0], actual_in[1], actual_in[2], inputs.options);
  EXPECT_LT(relative_error(actual, expected), 4e-6);

  const Tensor direction = torch::randn_like(expected);
  const auto expected_grads = gradients(expected, direction, expected_in);
  const auto actual_grads = gradients(actual, direction.to(torch::kFloat32), actual_in);
  for (int i = 0; i < 3; ++i) EXPECT_LT(relative_error(actual_grads[i], expected_grads[i]), 1e-5) << "qkv"[i];
}

TEST_P(GroupAttention, IsDeterministicForAnyNumberOfThreads) {
  const Inputs inputs = make_inputs(GetParam(), torch::kFloat32);
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    const std::vector<Tensor> leaves = as_leaves(inputs.qkv);
    const Tensor out = group_attention(leaves[0], leaves[1], leaves[2], inputs.options);
    std::vector<Tensor> results = gradients(out, torch::ones_like(out), leaves);
    results.push_back(out.detach());
    return results;
  };
  const int threads = at::get_num_threads();
  const auto one = run(1), two = run(2), again = run(2);
  at::set_num_threads(threads);
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_TRUE(torch::equal(one[i], two[i]));
    EXPECT_TRUE(torch::equal(two[i], again[i]));
  }
}

// Central differences in double against autograd through the reference.
TEST(GroupAttentionReference, GradientEqualsFiniteDifferences) {
  const Case small = {"", {{4, 3, 2}, {2}}, 4, 2, 3, 3, 3};
  const Inputs inputs = make_inputs(small, torch::kFloat64);
  std::vector<Tensor> leaves = as_leaves(inputs.qkv);
  const auto value = [&] {
    return group_attention_reference(leaves[0], leaves[1], leaves[2], inputs.options);
  };
  const Tensor direction = torch::randn_like(inputs.qkv[0]);
  const auto grads = gradients(value(), direction, leaves);
  const torch::NoGradGuard no_grad;
  for (size_t i = 0; i < leaves.size(); ++i) {
    for (int64_t j = 0; j < leaves[i].numel(); ++j) {
      const double step = 1e-5;
      auto* x = leaves[i].data_ptr<double>() + j;
      const double before = *x;
      *x = before + step;
      const double above = (value() * direction).sum().item<double>();
      *x = before - step;
      const double below = (value() * direction).sum().item<double>();
      *x = before;
      EXPECT_NEAR(grads[i].flatten()[j].item<double>(), (above - below) / (2 * step), 1e-8);
    }
  }
}

// What a batch holds besides a sequence, and whether its prompt is shared, must not matter.
TEST(GroupAttentionCpu, EverySequenceAloneGivesTheSame) {
  for (const int64_t window : {0, 50}) {
    const Case c = {"", {{140, 30, 1, 77}, {9, 5}, {200}}, 4, 2, 24, 24, window};
    const Inputs inputs = make_inputs(c, torch::kFloat32);
    const auto& [q, k, v] = std::tie(inputs.qkv[0], inputs.qkv[1], inputs.qkv[2]);
    const Tensor together = group_attention(q, k, v, inputs.options);
    const data::SegmentTable& table = *inputs.options.segments;
    for (const data::Segment& segment : table.segments) {
      const auto whole = [&](const Tensor& x) {
        const Tensor own = x.narrow(0, segment.begin, segment.length);
        if (segment.parent < 0) return own;
        return torch::cat(
            {x.narrow(0, 0, 0),
             x.narrow(0, table.segments[segment.parent].begin, table.segments[segment.parent].length), own});
      };
      GroupAttentionOptions alone = inputs.options;
      alone.segments = make_table({{static_cast<int32_t>(table.position_of(segment) + segment.length)}});
      const Tensor out = group_attention(whole(q), whole(k), whole(v), alone);
      EXPECT_LT(relative_error(out, whole(together)), 1e-6);
    }
  }
}

TEST(GroupAttentionCpu, LargeScoresNeitherOverflowNorVanish) {
  Inputs inputs = make_inputs({"", {{140, 30}}}, torch::kFloat32);
  inputs.qkv[0] *= 100;
  inputs.qkv[1] *= 100;
  const auto& [q, k, v] = std::tie(inputs.qkv[0], inputs.qkv[1], inputs.qkv[2]);
  const Tensor out = group_attention(q, k, v, inputs.options);
  EXPECT_TRUE(out.isfinite().all().item<bool>());
  const Tensor expected = group_attention_reference(q.to(torch::kFloat64), k.to(torch::kFloat64),
                                                    v.to(torch::kFloat64), inputs.options);
  EXPECT_LT(relative_error(out, expected), 5e-3);  // scores near 1e5 hold 0.004 in float32
}

TEST(GroupAttentionCpu, NanStaysInItsSequenceAndIsNotHidden) {
  Inputs inputs = make_inputs({"", {{20, 5, 6}, {9}}}, torch::kFloat32);
  inputs.qkv[1][22] = std::numeric_limits<float>::quiet_NaN();  // third token of the first child
  const Tensor out = group_attention(inputs.qkv[0], inputs.qkv[1], inputs.qkv[2], inputs.options);
  const Tensor bad_T = out.isnan().flatten(1).any(1);
  for (int64_t row = 0; row < out.size(0); ++row)
    EXPECT_EQ(bad_T[row].item<bool>(), row >= 22 && row < 25) << row;
}

TEST(GroupAttentionCpu, TakesViewsAndNeedsNoGradientOfKeys) {
  const Inputs inputs = make_inputs({"", {{20, 5, 6}}}, torch::kFloat32);
  const Tensor fused = torch::cat({inputs.qkv[0], inputs.qkv[1], inputs.qkv[2]}, 1);
  Tensor q = fused.narrow(1, 0, 4).clone().set_requires_grad(true);
  const Tensor out = group_attention(q, fused.narrow(1, 4, 2), fused.narrow(1, 6, 2), inputs.options);
  out.sum().backward();
  EXPECT_TRUE(torch::equal(out.detach(),
                           group_attention(inputs.qkv[0], inputs.qkv[1], inputs.qkv[2], inputs.options)));
  EXPECT_TRUE(q.grad().isfinite().all().item<bool>());
}

}  // namespace
}  // namespace dmoerm::ops
