// The ranking loss against its formula in double precision, its gradient, and independence of cuts.
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

TEST(RankingLoss, IsTheMeanOverGroupsOfTheMeanOverEdges) {
  const Tensor reward_R = torch::tensor({1.0, 0.5, -2.0, 3.0, 3.5, 0.0});
  const auto edges = edges_of({{{0, 1}, {0, 2}, {1, 2}}, {{0, 1, 2.0f, 0.5f}, {1, 2, 1.0f, 0.0f}}}, 3);
  const double first = (log_loss(0.5) + log_loss(3) + log_loss(2.5)) / 3;
  const double second = (2 * log_loss(-0.5 - 0.5) + log_loss(3.5)) / 3;
  EXPECT_NEAR(ranking_loss(reward_R, edges).item<double>(), (first + second) / 2, 1e-6);
}

TEST(RankingLoss, SmoothingAndCentering) {
  const Tensor reward_R = torch::tensor({1.0, 0.25});
  const auto edges = edges_of({{{0, 1, 1.0f, 0.5f}}}, 2);
  const double expected = 0.9 * log_loss(0.75 - 0.5) + 0.1 * log_loss(-0.75 - 0.5) + 0.01 * 1.25 * 1.25;
  EXPECT_NEAR(ranking_loss(reward_R, edges, {0.1, 0.01}).item<double>(), expected, 1e-6);
}

TEST(RankingLoss, CuttingAStepChangesNothing) {
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

TEST(RankingLoss, GradientEqualsFiniteDifferences) {
  torch::manual_seed(4);
  const auto edges = edges_of({{{0, 1, 1.0f, 0.2f}, {2, 1, 3.0f, 0.0f}}}, 3);
  const Tensor reward_R = torch::randn({3}, torch::dtype(torch::kDouble).requires_grad(true));
  ranking_loss(reward_R, edges, {0.1, 0.02}).backward();
  torch::NoGradGuard no_grad;
  for (int64_t i = 0; i < 3; ++i) {
    const auto moved = [&](double by) {
      Tensor other = reward_R.clone();
      other[i] += by;
      return ranking_loss(other, edges, {0.1, 0.02}).item<double>();
    };
    EXPECT_NEAR(reward_R.grad()[i].item<double>(), (moved(1e-5) - moved(-1e-5)) / 2e-5, 1e-7);
  }
}

TEST(RankingLoss, StaysFiniteFarOut) {
  const Tensor reward_R = torch::tensor({-1e4f, 1e4f}, torch::requires_grad());
  const Tensor loss = ranking_loss(reward_R, edges_of({{{0, 1}}}, 2));
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), 2e4, 1);
  EXPECT_NEAR(reward_R.grad()[0].item<double>(), -1, 1e-6);
}

TEST(RankingLoss, BetterMeansTheLowerRank) {  // a step down the gradient must widen the gap
  const Tensor reward_R = torch::zeros({2}, torch::requires_grad());
  ranking_loss(reward_R, edges_of({{{1, 0}}}, 2)).backward();
  EXPECT_LT(reward_R.grad()[1].item<double>(), 0);
  EXPECT_GT(reward_R.grad()[0].item<double>(), 0);
}

TEST(RankingLoss, NothingToLearnFrom) {
  const Tensor reward_R = torch::ones({2}, torch::requires_grad());
  RankingEdgeList list(1);
  list.add_group({}, std::vector<int64_t>{0, 1});
  const std::vector<data::Edge> weightless = {{0, 1, 0.0f, 0.0f}};
  list.add_group(weightless, std::vector<int64_t>{0, 1});
  EXPECT_TRUE(list.empty());
  const Tensor loss = ranking_loss(reward_R, list.build());
  loss.backward();
  EXPECT_EQ(loss.item<double>(), 0);
  EXPECT_EQ(reward_R.grad().abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace dmoerm::reward
