// Varlen plans: attention sequence by sequence, as the plan says, against the reference.
#include "dmoerm/ops/varlen_plan.h"

#include <limits>

#include "testing.h"

namespace dmoerm::ops {
namespace {

constexpr double kScale = 0.7;

struct VarlenCase {
  std::shared_ptr<const data::SegmentTable> table;
  std::vector<int64_t> query_rows;
  int64_t window = 0;
};

int64_t draw(std::mt19937_64& random, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random() % (high - low + 1));
}

VarlenCase random_case(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::vector<int32_t>> trees(draw(random, 1, 5));
  for (auto& tree : trees) {
    tree.resize(draw(random, 1, 5));
    for (int32_t& length : tree) length = static_cast<int32_t>(draw(random, 1, 9));
  }
  VarlenCase c = {make_table(trees), {}, std::max<int64_t>(0, draw(random, -8, 14))};
  if (seed % 3 == 0) return c;
  for (const data::Segment& segment : c.table->segments) {
    const int64_t end = segment.begin + segment.length;
    for (int64_t row = end - draw(random, 0, segment.length); row < end; ++row) c.query_rows.push_back(row);
  }
  if (c.query_rows.empty()) c.query_rows.push_back(c.table->num_rows - 1);
  return c;
}

struct Part {
  Tensor out_QHC, lse_QH;
};

Part attend_sequences(const Tensor& q_QHC, const Tensor& k_SHC, const Tensor& v_SHC,
                      const VarlenSequences& sequences, bool causal, int64_t window) {
  const double hidden = -std::numeric_limits<double>::infinity();
  Part part = {torch::zeros_like(q_QHC),
               torch::full({q_QHC.size(0), q_QHC.size(1)}, hidden, torch::kFloat64)};
  for (size_t i = 0; i + 1 < sequences.cu_q.size(); ++i) {
    const int64_t first = sequences.cu_q[i], queries = sequences.cu_q[i + 1] - first;
    const int64_t first_key = sequences.cu_k[i], keys = sequences.cu_k[i + 1] - first_key;
    EXPECT_LE(queries, sequences.max_q);
    EXPECT_LE(keys, sequences.max_k);
    if (queries == 0 || keys == 0) continue;
    Tensor scores_HQS = torch::einsum(
        "qhc,shc->hqs", {q_QHC.narrow(0, first, queries) * kScale, k_SHC.narrow(0, first_key, keys)});
    const Tensor distance_QS = (torch::arange(queries) + keys - queries).unsqueeze(1) - torch::arange(keys);
    if (causal) scores_HQS = scores_HQS.masked_fill(distance_QS < 0, hidden);
    if (window > 0) scores_HQS = scores_HQS.masked_fill(distance_QS >= window, hidden);
    part.lse_QH.narrow(0, first, queries).copy_(torch::logsumexp(scores_HQS, -1).t());
    part.out_QHC.narrow(0, first, queries)
        .copy_(torch::einsum("hqs,shc->qhc",
                             {torch::softmax(scores_HQS, -1), v_SHC.narrow(0, first_key, keys)}));
  }
  return part;
}

Tensor attend_as_planned(const std::vector<Tensor>& qkv, const VarlenPlan& plan, KeyLayout layout,
                         int64_t window) {
  const Tensor copied_S = torch::tensor(
      std::vector<int64_t>(plan.copies.row_of.begin(), plan.copies.row_of.end()), torch::kInt64);
  const Tensor k_SHC = qkv[1].index_select(0, copied_S), v_SHC = qkv[2].index_select(0, copied_S);
  if (layout == KeyLayout::Gathered)
    return attend_sequences(qkv[0], k_SHC, v_SHC, plan.causal, true, window).out_QHC;
  const Part own = attend_sequences(qkv[0], qkv[1], qkv[2], plan.causal, true, window);
  const Part parent = attend_sequences(qkv[0], k_SHC, v_SHC, plan.parent, false, 0);
  for (const int32_t query : plan.child_queries) {
    const Tensor lse_H = torch::logaddexp(own.lse_QH[query], parent.lse_QH[query]);
    own.out_QHC[query].copy_(own.out_QHC[query] * (own.lse_QH[query] - lse_H).exp().unsqueeze(1) +
                             parent.out_QHC[query] * (parent.lse_QH[query] - lse_H).exp().unsqueeze(1));
  }
  return own.out_QHC;
}

void expect_whole(const VarlenSequences& sequences, int64_t num_queries, int64_t num_keys) {
  EXPECT_EQ(sequences.cu_q.back(), num_queries);
  EXPECT_EQ(sequences.cu_k.back(), num_keys);
}

void expect_inverse(const KeyCopies& copies) {
  ASSERT_EQ(copies.offsets.size(), copies.rows.size() + 1);
  std::vector<int32_t> row_of(copies.row_of.size(), -1);
  for (size_t i = 0; i < copies.rows.size(); ++i) {
    EXPECT_TRUE(i == 0 || copies.rows[i] > copies.rows[i - 1]);
    for (int32_t j = copies.offsets[i]; j < copies.offsets[i + 1]; ++j)
      row_of[copies.sources[j]] = copies.rows[i];
  }
  EXPECT_EQ(row_of, copies.row_of);
}

void expect_plan_equals_reference(const VarlenCase& c, KeyLayout layout) {
  torch::manual_seed(3);
  const data::SegmentTable& table = *c.table;
  const int64_t queries = c.query_rows.empty() ? table.num_rows : static_cast<int64_t>(c.query_rows.size());
  std::vector<Tensor> qkv;
  for (const int64_t rows : {queries, table.num_rows, table.num_rows})
    qkv.push_back(torch::randn({rows, 2, 3}, torch::kFloat64));
  const int64_t window = effective_window(table, c.window);
  const auto plan = plan_varlen(table, c.query_rows, layout, window);
  ASSERT_TRUE(plan.has_value());
  const bool gathered = layout == KeyLayout::Gathered;
  const auto copies = static_cast<int64_t>(plan->copies.row_of.size());
  expect_whole(plan->causal, queries, gathered ? copies : table.num_rows);
  if (!plan->parent.empty()) expect_whole(plan->parent, queries, copies);
  expect_inverse(plan->copies);
  const GroupAttentionOptions options = {c.table, kScale, c.window, c.query_rows};
  EXPECT_LT(relative_error(attend_as_planned(qkv, *plan, layout, window),
                           group_attention_reference(qkv[0], qkv[1], qkv[2], options)),
            1e-13);
}

TEST(VarlenPlan, GatheredKeysGiveTheReference) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    expect_plan_equals_reference(random_case(seed), KeyLayout::Gathered);
  }
}

TEST(VarlenPlan, SharedKeysGiveTheReference) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    VarlenCase c = random_case(seed);
    c.window = 0;
    expect_plan_equals_reference(c, KeyLayout::Shared);
  }
  expect_plan_equals_reference({make_table({{9}, {3}, {12}}), {}, 5}, KeyLayout::Shared);  // no children
}

TEST(VarlenPlan, QueriesOfManyAnswersAreCut) {
  std::vector<int32_t> tree(65, 41);
  tree[0] = 3;
  const VarlenCase c = {make_table({{2}, tree, {4, 1}}), {}, 0};
  expect_plan_equals_reference(c, KeyLayout::Shared);
  const VarlenPlan plan = *plan_varlen(*c.table, {}, KeyLayout::Shared, 0);
  EXPECT_EQ(plan.parent.cu_q, (std::vector<int32_t>{0, 5, 2053, 2629, 2633, 2634}));
  EXPECT_EQ(plan.parent.cu_k, (std::vector<int32_t>{0, 0, 3, 6, 6, 10}));
  EXPECT_EQ(plan.parent.max_q, 2048);
}

TEST(VarlenPlan, RefusesQueriesThatAreNotTheLastOfTheirSegment) {
  const auto table = make_table({{5, 4}});
  const auto planned = [&](const std::vector<int64_t>& rows) {
    return plan_varlen(*table, rows, KeyLayout::Shared, 0).has_value();
  };
  EXPECT_TRUE(planned({4, 7, 8}));
  EXPECT_TRUE(planned({8}));
  EXPECT_FALSE(planned({7}));
  EXPECT_FALSE(planned({3, 8}));
  EXPECT_FALSE(planned({6, 8}));
}

TEST(VarlenPlan, AWindowThatHidesNothingIsNone) {
  const auto table = make_table({{5, 4}, {7}});
  EXPECT_EQ(effective_window(*table, 0), 0);
  EXPECT_EQ(effective_window(*table, 9), 0);
  EXPECT_EQ(effective_window(*table, 8), 8);
}

}  // namespace
}  // namespace dmoerm::ops
