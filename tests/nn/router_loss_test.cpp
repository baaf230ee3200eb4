// Router losses against closed forms.
#include "dmoerm/nn/router_loss.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "tests/nn/tiny_moe.h"

namespace dmoerm::nn {
namespace {

Routing routing_of(const Tensor& logits_TE, int64_t top_k, RouterScore score = RouterScore::Softmax) {
  const int64_t experts = logits_TE.size(1);
  return TopKRouter({experts, top_k, score}, torch::eye(experts, logits_TE.options())).route(logits_TE);
}

// Rows that go to one expert each with logit `height`, all others 0.
Tensor peaked(const std::vector<int64_t>& experts, int64_t num_experts, double height) {
  Tensor logits = torch::zeros({static_cast<int64_t>(experts.size()), num_experts}, torch::kFloat64);
  for (size_t t = 0; t < experts.size(); ++t) logits[static_cast<int64_t>(t)][experts[t]] = height;
  return logits;
}

TEST(BalanceLoss, IsOneWhenEvenAndEWhenOneExpertTakesAll) {
  EXPECT_NEAR(balance_loss(routing_of(peaked({0, 1, 2, 3}, 4, 2), 1)).item<double>(), 1, 1e-12);
  EXPECT_NEAR(balance_loss(routing_of(peaked({2, 2, 2}, 4, 100), 1)).item<double>(), 4, 1e-12);
  const double p = std::exp(2.0) / (std::exp(2.0) + 3);  // f = (1, 0, 0, 0), P_0 = p
  EXPECT_NEAR(balance_loss(routing_of(peaked({0, 0}, 4, 2), 1)).item<double>(), 4 * p, 1e-12);
}

TEST(BalanceLoss, EqualsPlainLoopsWithKChoicesAndSigmoid) {
  for (const auto score : {RouterScore::Softmax, RouterScore::Sigmoid}) {
    const Routing routing = routing_of(random_tensor("logits", {21, 6}, 1, torch::kFloat64), 3, score);
    double expected = 0;
    for (int64_t e = 0; e < 6; ++e) {
      double share = 0, mean = 0;
      for (int64_t t = 0; t < 21; ++t) {
        for (int64_t k = 0; k < 3; ++k) share += routing.expert_Tk[t][k].item<int64_t>() == e;
        mean += (routing.scores_TE[t][e] / routing.scores_TE[t].sum()).item<double>();
      }
      expected += 6 * share / 63 * mean / 21;
    }
    EXPECT_NEAR(balance_loss(routing).item<double>(), expected, 1e-12);
  }
}

TEST(BalanceLoss, ByGroupIsTheMeanOfEachGroupAlone) {
  const Tensor logits = random_tensor("logits", {12, 5}, 1, torch::kFloat64);
  const Tensor group_T = torch::tensor({0, 0, 0, 3, 3, 0, 1, 1, 1, 1, 3, 0}, torch::kInt64);  // 2: elsewhere
  double expected = 0;
  for (const int64_t group : {0, 1, 3}) {
    const Tensor rows = (group_T == group).nonzero().flatten();
    expected += balance_loss(routing_of(logits.index_select(0, rows), 2)).item<double>() / 4;
  }
  const Tensor rows_G = torch::bincount(group_T).to(torch::kFloat64);
  const Tensor weight_T = 1 / (4 * rows_G.index_select(0, group_T));
  EXPECT_NEAR(balance_loss_by_group(routing_of(logits, 2), group_T, 4, weight_T).item<double>(), expected,
              1e-12);
}

// A row of weight 1/2 that is there twice counts as one row.
TEST(BalanceLoss, CopiesCountOnce) {
  const Tensor logits = random_tensor("logits", {5, 4}, 1, torch::kFloat64);
  const Routing once = routing_of(logits, 2),
                twice = routing_of(torch::cat({logits, logits.narrow(0, 0, 2)}), 2);
  const Tensor weight_T = torch::tensor({0.5, 0.5, 1.0, 1.0, 1.0, 0.5, 0.5}, torch::kFloat64) / 5;
  const Tensor count_E = assignment_counts(twice, weight_T);
  EXPECT_NEAR(balance_loss(twice, count_E / count_E.sum(), weight_T).item<double>(),
              balance_loss(once).item<double>(), 1e-12);
  EXPECT_NEAR(router_z_loss(twice, weight_T).item<double>(), router_z_loss(once).item<double>(), 1e-12);
}

// Two micro-batches, each of one kind: uneven alone, even together.
TEST(BalanceLoss, GlobalSharesSeeTheWholeStep) {
  const Routing first = routing_of(peaked({0, 0, 1, 1}, 4, 3), 1),
                second = routing_of(peaked({2, 3, 2, 3}, 4, 3), 1);
  const Tensor ones = torch::ones({4}, torch::kFloat64);
  LoadAverage load;
  load.add(5, assignment_counts(first, ones));
  EXPECT_NEAR(balance_loss(first, load.shares(5), ones / 4).item<double>(),
              balance_loss(first).item<double>(), 1e-12);
  EXPECT_GT(balance_loss(first).item<double>(), 1.5);
  load.add(5, assignment_counts(second, ones));
  EXPECT_NEAR(balance_loss(second, load.shares(5), ones / 4).item<double>(), 1, 1e-12);
}

// d/dlogit of E sum f_e P_e with constant f: E / T * p_j * (f_j - sum f_e p_e).
TEST(BalanceLoss, GradientFlowsThroughTheProbabilitiesAlone) {
  const Tensor logits = random_tensor("logits", {8, 4}, 1, torch::kFloat64).set_requires_grad(true);
  const Routing routing = routing_of(logits, 2);
  balance_loss(routing).backward();
  const Tensor p = logits.detach().softmax(1),
               f = assignment_counts(routing, torch::ones({8}, torch::kFloat64)) / 16;
  const Tensor expected = p * (f - (p * f).sum(1, true)) * 4 / 8;
  expect_near(logits.grad(), expected, 1e-12, "gradient");
}

TEST(RouterZLoss, EqualsClosedForm) {
  EXPECT_NEAR(router_z_loss(routing_of(torch::zeros({3, 8}, torch::kFloat64), 1)).item<double>(),
              std::pow(std::log(8.0), 2), 1e-12);
  const double z = std::log(std::exp(2.0) + 3);
  EXPECT_NEAR(router_z_loss(routing_of(peaked({0, 1}, 4, 2), 1)).item<double>(), z * z, 1e-12);
}

// A packed batch: the shared prefix is one set of rows, and a group is what the items say.
TEST(RouterLosses, OfADecoderCountSharedTokensOnce) {
  torch::NoGradGuard no_grad;
  const DecoderConfig config = tiny_moe_config({6, 2, RouterScore::Softmax, true});
  const Decoder decoder = tiny_decoder(config, torch::kFloat64);
  const Sequences first = awkward_groups()[1].second, second = {random_tokens(6, 7)};
  std::vector<data::PackItem> items;
  std::vector<int64_t> groups(first.size(), 0);
  for (const auto& sequence : first) items.push_back({sequence, 0, -1});
  items.push_back({second[0], 1, -1});
  groups.push_back(1);
  const auto loss = [&](std::span<const data::PackItem> some, std::span<const int64_t> group_R,
                        RouterLossOptions options, bool share) {
    const data::PackedBatch packed = data::pack(some, 0, share);
    const Batch batch = to_device(packed, torch::kCPU);
    RoutingTrace trace;
    decoder.hidden(batch, nullptr, {&trace});
    StepRows step;
    step.add(packed, group_R);
    StepLoads loads;
    return router_loss(trace, batch, step, options, loads).item<double>();
  };
  const auto both = [&](RouterLossOptions options, bool share = true) {
    return loss(items, groups, options, share);
  };
  EXPECT_EQ(data::pack(items).num_tokens(), 11 + 5 + 9 + 6);  // the prompt of 11 tokens once
  const std::span all(items);
  const RouterLossOptions micro = {2, 0, BalanceScope::MicroBatch}, group = {2, 0, BalanceScope::Group};
  const double alone = (loss(all.first(first.size()), std::span(groups).first(first.size()), micro, true) +
                        loss(all.last(1), std::span(groups).last(1), micro, true)) /
                       2;
  EXPECT_NEAR(both(group), alone, 1e-12);
  EXPECT_GT(std::abs(both(micro) - alone), 1e-6);
  EXPECT_NEAR(both({2, 0, BalanceScope::Global}), both(micro), 1e-12);
  for (const auto& options : {micro, group, RouterLossOptions{0, 3}})
    EXPECT_NEAR(both(options, true), both(options, false), 1e-12);  // copies of the prompt count as one
  RoutingTrace trace;
  decoder.hidden(to_device(data::pack(items), torch::kCPU), nullptr, {&trace});
  const double z =
      (router_z_loss(trace.layers[0].routing) + router_z_loss(trace.layers[1].routing)).item<double>();
  EXPECT_NEAR(both({0, 3}), 3 * z / 2, 1e-12);
}

// Two prompts of one group (of one that was cut, say) are one group; equal tokens of two groups are not
// copies.
TEST(StepRows, AGroupMayHaveSeveralTrees) {
  const std::vector<int32_t> a = {1, 2, 3}, b = {1, 2, 4, 5}, c = {7, 8}, d = {1, 2, 3};
  const std::vector<data::PackItem> items = {{a, 10, -1}, {b, 10, -1}, {c, 10, -1}, {d, 11, -1}};
  const std::vector<int64_t> groups = {10, 10, 10, 11};
  const data::PackedBatch packed = data::pack(items);
  ASSERT_EQ(packed.segments->roots.size(), 3u);
  StepRows step;
  step.add(packed, groups);
  const Batch batch = to_device(packed, torch::kCPU);
  EXPECT_EQ(step.num_groups(), 2);
  EXPECT_EQ(step.total(), 2 + 1 + 2 + 2 + 3);
  EXPECT_EQ(step.total_last(), 4);
  EXPECT_THAT(step.group_totals(), testing::ElementsAre(7, 3));
  EXPECT_THAT(step.group_last_totals(), testing::ElementsAre(3, 1));
  EXPECT_THAT(step.weights(batch), testing::Each(1.f));
  const std::vector<int64_t> found = step.groups(batch);
  for (size_t r = 0; r < items.size(); ++r) EXPECT_EQ(found[packed.last_token[r]], groups[r] - 10) << r;
  EXPECT_EQ(std::count(found.begin(), found.end(), 0), 7);
  step.add(data::pack(std::span(items).first(2)), std::vector<int64_t>{10, 10});  // once more: copies
  EXPECT_EQ(step.total(), 10);
  EXPECT_EQ(step.total_last(), 4);
  EXPECT_THAT(step.group_totals(), testing::ElementsAre(7, 3));
  EXPECT_FLOAT_EQ(step.weights(batch)[packed.last_token[0]], 0.5);
  EXPECT_FLOAT_EQ(step.last_weights(batch)[packed.last_token[2]], 1);
  EXPECT_EQ(step.last_weights(batch)[0], 0);
}

TEST(RouterLosses, AreZeroWithoutRows) {
  const Routing none = routing_of(torch::empty({0, 4}).set_requires_grad(true), 2);
  EXPECT_EQ(balance_loss(none).item<float>(), 0);
  EXPECT_EQ(balance_loss_by_group(none, torch::empty({0}, torch::kInt64), 1, torch::empty({0})).item<float>(),
            0);
  EXPECT_EQ(router_z_loss(none).item<float>(), 0);
  EXPECT_TRUE(router_z_loss(none).requires_grad());
}

}  // namespace
}  // namespace dmoerm::nn
