// Router losses against closed forms.
#include "dmoerm/nn/router_loss.h"

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
  const Tensor group_T = torch::tensor({0, 0, 0, 3, 3, 0, 1, 1, 1, 1, 3, 0}, torch::kInt64);  // none in 2
  double expected = 0;
  for (const int64_t group : {0, 1, 3}) {
    const Tensor rows = (group_T == group).nonzero().flatten();
    expected += balance_loss(routing_of(logits.index_select(0, rows), 2)).item<double>() / 3;
  }
  EXPECT_NEAR(balance_loss_by_group(routing_of(logits, 2), group_T).item<double>(), expected, 1e-12);
}

// Two micro-batches, each of one kind: uneven alone, even together.
TEST(BalanceLoss, GlobalSharesSeeTheWholeStep) {
  const Routing first = routing_of(peaked({0, 0, 1, 1}, 4, 3), 1),
                second = routing_of(peaked({2, 3, 2, 3}, 4, 3), 1);
  LoadAverage load;
  load.add(5, assignment_counts(first));
  EXPECT_NEAR(balance_loss(first, load.shares(5)).item<double>(), balance_loss(first).item<double>(), 1e-12);
  EXPECT_GT(balance_loss(first).item<double>(), 1.5);
  load.add(5, assignment_counts(second));
  EXPECT_NEAR(balance_loss(second, load.shares(5)).item<double>(), 1, 1e-12);
  load.reset();
  load.add(5, assignment_counts(second));
  EXPECT_EQ(load.shares(5)[0].item<double>(), 0);
}

// d/dlogit of E sum f_e P_e with constant f: E / T * p_j * (f_j - sum f_e p_e).
TEST(BalanceLoss, GradientFlowsThroughTheProbabilitiesAlone) {
  const Tensor logits = random_tensor("logits", {8, 4}, 1, torch::kFloat64).set_requires_grad(true);
  const Routing routing = routing_of(logits, 2);
  balance_loss(routing).backward();
  const Tensor p = logits.detach().softmax(1), f = assignment_counts(routing) / 16;
  const Tensor expected = p * (f - (p * f).sum(1, true)) * 4 / 8;
  expect_near(logits.grad(), expected, 1e-12, "gradient");
}

TEST(RouterZLoss, EqualsClosedForm) {
  EXPECT_NEAR(router_z_loss(routing_of(torch::zeros({3, 8}, torch::kFloat64), 1)).item<double>(),
              std::pow(std::log(8.0), 2), 1e-12);
  const double z = std::log(std::exp(2.0) + 3);
  EXPECT_NEAR(router_z_loss(routing_of(peaked({0, 1}, 4, 2), 1)).item<double>(), z * z, 1e-12);
}

// A packed batch: the shared prefix is one set of rows, and a group is what shares it.
TEST(RouterLosses, OfADecoderCountSharedTokensOnce) {
  torch::NoGradGuard no_grad;
  const DecoderConfig config = tiny_moe_config({6, 2, RouterScore::Softmax, true});
  const Decoder decoder = tiny_decoder(config, torch::kFloat64);
  const Sequences first = awkward_groups()[1].second, second = {random_tokens(6, 7)};
  const auto trace_of = [&](const Batch& batch) {
    RoutingTrace trace;
    decoder.hidden(batch, nullptr, {&trace});
    return trace;
  };
  std::vector<data::PackItem> items;
  for (const auto& sequence : first) items.push_back({sequence, 0, -1});
  items.push_back({second[0], 1, -1});
  const Batch both = to_device(data::pack(items), torch::kCPU);
  EXPECT_EQ(both.tokens_T.size(0), 11 + 5 + 9 + 6);  // the prompt of 11 tokens once
  LoadAverage load;
  const auto loss = [&](const Batch& batch, BalanceScope scope) {
    return router_loss(trace_of(batch), batch, {2, 0, scope}, load).item<double>();
  };
  const double alone =
      (loss(packed(first), BalanceScope::MicroBatch) + loss(packed(second), BalanceScope::MicroBatch)) / 2;
  EXPECT_NEAR(loss(both, BalanceScope::Group), alone, 1e-12);
  EXPECT_GT(std::abs(loss(both, BalanceScope::MicroBatch) - alone), 1e-6);
  EXPECT_NEAR(loss(both, BalanceScope::Global), loss(both, BalanceScope::MicroBatch), 1e-12);
  const RoutingTrace trace = trace_of(both);
  const double z =
      (router_z_loss(trace.layers[0].routing) + router_z_loss(trace.layers[1].routing)).item<double>();
  EXPECT_NEAR(router_loss(trace, both, {0, 3}, load).item<double>(), 3 * z / 2, 1e-12);
}

TEST(RouterLosses, AreZeroWithoutRows) {
  const Routing none = routing_of(torch::empty({0, 4}).set_requires_grad(true), 2);
  EXPECT_EQ(balance_loss(none).item<float>(), 0);
  EXPECT_EQ(balance_loss_by_group(none, torch::empty({0}, torch::kInt64)).item<float>(), 0);
  EXPECT_EQ(router_z_loss(none).item<float>(), 0);
  EXPECT_TRUE(router_z_loss(none).requires_grad());
}

}  // namespace
}  // namespace dmoerm::nn
