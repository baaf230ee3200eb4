// The edges of prompt groups: their weights, rows and margins, and independence of cuts. The loss itself is
// tested in tests/ops.
#include "dmoerm/reward/ranking_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace dmoerm::reward {
namespace {

double log_loss(double gap) {
  return std::log1p(std::exp(-gap));
}

RankingEdges edges_of(const std::vector<std::vector<data::Edge>>& groups, int64_t sequences_a_group) {
  RankingEdgeList list(static_cast<int64_t>(groups.size()));
  for (size_t g = 0; g < groups.size(); ++g) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < sequences_a_group; ++i)
      rows.push_back(static_cast<int64_t>(g) * sequences_a_group + i);
    list.add_group(groups[g], rows);
  }
  return list.build();
}

TEST(RankingEdgeList, IsTheMeanOverGroupsOfTheMeanOverEdges) {
  const Tensor reward_R = torch::tensor({1.0, 0.5, -2.0, 3.0, 3.5, 0.0});
  const auto edges = edges_of({{{0, 1}, {0, 2}, {1, 2}}, {{0, 1, 2.0f, 0.5f}, {1, 2, 1.0f, 0.0f}}}, 3);
  const double first = (log_loss(0.5) + log_loss(3) + log_loss(2.5)) / 3;
  const double second = (2 * log_loss(-0.5 - 0.5) + log_loss(3.5)) / 3;
  EXPECT_NEAR(ranking_loss(reward_R, edges).item<double>(), (first + second) / 2, 1e-6);
}

TEST(RankingEdgeList, CuttingAStepChangesNothing) {
  const std::vector<std::vector<data::Edge>> groups = {{{0, 1}, {1, 2}}, {{2, 0}}, {{0, 1}, {0, 2}, {2, 1}}};
  torch::manual_seed(2);
  const Tensor whole_R = torch::randn({9}, torch::requires_grad());
  ranking_loss(whole_R, edges_of(groups, 3), {0.05, 0.01}).backward();
  const Tensor cut_R = whole_R.detach().clone().requires_grad_();
  for (int64_t g = 0; g < 3; ++g) {
    RankingEdgeList list(3);
    list.add_group(groups[g], std::vector<int64_t>{0, 1, 2});
    ranking_loss(cut_R.narrow(0, 3 * g, 3), list.build(), {0.05, 0.01}).backward();
  }
  EXPECT_TRUE(torch::allclose(whole_R.grad(), cut_R.grad(), 1e-6, 1e-8));
}

TEST(RankingEdgeList, AnEdgesNumbersAreItsGroupsRows) {
  RankingEdgeList list(1);
  list.add_group(std::vector<data::Edge>{{2, 0, 3.0f, 0.5f}, {1, 0, 1.0f, 0.0f}},
                 std::vector<int64_t>{7, 8, 5});
  const RankingEdges edges = list.build();
  EXPECT_TRUE(edges.better_E.equal(torch::tensor({5, 8}, torch::kInt64)));
  EXPECT_TRUE(edges.worse_E.equal(torch::tensor({7, 7}, torch::kInt64)));
  EXPECT_TRUE(edges.weight_E.equal(torch::tensor({0.75f, 0.25f})));
  EXPECT_TRUE(edges.margin_E.equal(torch::tensor({0.5f, 0.0f})));
}

TEST(RankingEdgeList, NothingToLearnFrom) {
  RankingEdgeList list(1);
  list.add_group({}, std::vector<int64_t>{0, 1});
  list.add_group(std::vector<data::Edge>{{0, 1, 0.0f, 0.0f}}, std::vector<int64_t>{0, 1});
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(ranking_loss(torch::ones({2}), list.build()).item<double>(), 0);
}

}  // namespace
}  // namespace dmoerm::reward
