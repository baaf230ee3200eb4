// The ranking loss against its formula in double precision, and its gradient.
#include "dmoerm/ops/ranking_loss.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dmoerm::ops {
namespace {

double log_loss(double gap) {
  return std::log1p(std::exp(-gap));
}

struct PlainEdge {
  int64_t better, worse;
  double weight = 1, margin = 0;
};

RankingEdges edges_of(const std::vector<PlainEdge>& list) {
  RankingEdges edges = {torch::empty({0}, torch::kInt64), torch::empty({0}, torch::kInt64), torch::empty({0}),
                        torch::empty({0})};
  for (const PlainEdge& edge : list) {
    edges.better_E = torch::cat({edges.better_E, torch::tensor({edge.better})});
    edges.worse_E = torch::cat({edges.worse_E, torch::tensor({edge.worse})});
    edges.weight_E = torch::cat({edges.weight_E, torch::tensor({edge.weight}, torch::kFloat32)});
    edges.margin_E = torch::cat({edges.margin_E, torch::tensor({edge.margin}, torch::kFloat32)});
  }
  return edges;
}

TEST(RankingLoss, IsTheSumOfWeightedTerms) {
  const Tensor reward_R = torch::tensor({1.0, 0.5, -2.0});
  const double expected = log_loss(0.5) + 2 * log_loss(-2.5 - 0.25);
  EXPECT_NEAR(ranking_loss(reward_R, edges_of({{0, 1}, {2, 1, 2, 0.25}})).item<double>(), expected, 1e-6);
}

TEST(RankingLoss, SmoothingAndCentering) {
  const Tensor reward_R = torch::tensor({1.0, 0.25});
  const double expected = 0.9 * log_loss(0.75 - 0.5) + 0.1 * log_loss(-0.75 - 0.5) + 0.01 * 1.25 * 1.25;
  EXPECT_NEAR(ranking_loss(reward_R, edges_of({{0, 1, 1, 0.5}}), {0.1, 0.01}).item<double>(), expected, 1e-6);
}

TEST(RankingLoss, GradientEqualsFiniteDifferences) {
  torch::manual_seed(4);
  const RankingEdges edges = edges_of({{0, 1, 0.25, 0.2}, {2, 1, 0.75, 0}});
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
  const Tensor loss = ranking_loss(reward_R, edges_of({{0, 1}}));
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), 2e4, 1);
  EXPECT_NEAR(reward_R.grad()[0].item<double>(), -1, 1e-6);
}

TEST(RankingLoss, AStepDownTheGradientWidensTheGap) {
  const Tensor reward_R = torch::zeros({2}, torch::requires_grad());
  ranking_loss(reward_R, edges_of({{1, 0}})).backward();
  EXPECT_LT(reward_R.grad()[1].item<double>(), 0);
  EXPECT_GT(reward_R.grad()[0].item<double>(), 0);
}

TEST(RankingLoss, IsZeroWithoutEdges) {
  const Tensor reward_R = torch::ones({2}, torch::requires_grad());
  const Tensor loss = ranking_loss(reward_R, edges_of({}));
  loss.backward();
  EXPECT_EQ(loss.item<double>(), 0);
  EXPECT_EQ(reward_R.grad().abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace dmoerm::ops
