// Which rows go to which experts, decided on CUDA, against the host.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "dmoerm/ops/moe_dispatch.h"
#include "dmoerm/ops/routing.h"
#include "tests/cuda/moe_testing.h"

namespace dmoerm {
namespace {

void expect_same_plan(const Tensor& expert_Tk, int64_t num_experts, const std::string& what,
                      const ops::Capacity& capacity = {}, const ops::RowParts& parts = {}) {
  ops::RowParts device_parts = parts;
  if (parts.part_T.defined()) device_parts.part_T = parts.part_T.to(torch::kCUDA);
  const ops::Dispatch expected = ops::dispatch(expert_Tk, num_experts, capacity, parts);
  const ops::Dispatch actual = ops::dispatch(expert_Tk.to(torch::kCUDA), num_experts, capacity, device_parts);
  EXPECT_TRUE(actual.place_N.is_cuda() && actual.slot_Tk.is_cuda()) << what;
  const int64_t kept = expected.place_N.size(0);
  ASSERT_GE(actual.place_N.size(0), kept) << what;
  EXPECT_TRUE(torch::equal(actual.place_N.narrow(0, 0, kept).cpu(), expected.place_N)) << what;
  EXPECT_TRUE(torch::equal(actual.slot_Tk.cpu(), expected.slot_Tk)) << what;
  EXPECT_TRUE(
      torch::equal(actual.offsets.end_E(actual.place_N.device()).cpu(), expected.offsets.end_E(torch::kCPU)))
      << what;
  EXPECT_EQ(actual.offsets.host(), expected.offsets.host()) << what;
}

TEST_F(CudaMoe, DispatchEqualsTheHosts) {
  torch::manual_seed(1);
  for (const int64_t rows : {0, 1, 17, 700, 1024, 70000})
    for (const auto& [top_k, experts] : std::vector<std::array<int64_t, 2>>{
             {1, 1}, {1, 256}, {2, 8}, {3, 3}, {6, 64}, {8, 256}, {2, 1024}, {2, 1025}}) {
      const std::string what = fmt::format("T {} k {} E {}", rows, top_k, experts);
      const auto type = torch::TensorOptions(torch::kInt64);
      expect_same_plan(torch::randint(experts, {rows, top_k}, type), experts, what);
      expect_same_plan(torch::full({rows, top_k}, experts - 1, type), experts, what + ", the last takes all");
      expect_same_plan(torch::zeros({rows, top_k}, type), experts, what + ", the first takes all");
      expect_same_plan(torch::randint(experts, {rows, top_k}, type).floor_divide(3) * 2 % experts, experts,
                       what + ", experts without rows");
    }
}

TEST_F(CudaMoe, DispatchWithCapacityAndPartsEqualsTheHosts) {
  torch::manual_seed(1);
  for (const int64_t rows : {1, 300, 5000})
    for (const auto& [top_k, experts] : std::vector<std::array<int64_t, 2>>{{1, 1}, {2, 8}, {6, 64}}) {
      const Tensor expert_Tk = torch::randint(experts, {rows, top_k}, torch::kInt64);
      std::vector<int64_t> order;
      for (int64_t t = rows; t-- > 0;) order.push_back(t);
      for (const int64_t num_parts : {1, 3})
        for (const int64_t capacity : {0, 1, 40, 100000})
          for (const bool ordered : {false, true}) {
            ops::RowParts parts;
            if (num_parts > 1) parts = {torch::randint(num_parts, {rows}, torch::kInt64), num_parts};
            expect_same_plan(
                expert_Tk, experts,
                fmt::format("T {} k {} E {} parts {} capacity {} {}", rows, top_k, experts, num_parts,
                            capacity, ordered),
                {capacity, ordered ? std::span<const int64_t>(order) : std::span<const int64_t>()}, parts);
          }
    }
}

TEST_F(CudaMoe, DispatchNeverWaits) {
  const Tensor expert_Tk = torch::randint(64, {5000, 6}, torch::kInt64).to(torch::kCUDA),
               part_T = torch::randint(5, {5000}, torch::kInt64).to(torch::kCUDA);
  for (const int64_t capacity : {0, 300})
    for (const bool in_parts : {false, true}) {
      const ops::RowParts parts = in_parts ? ops::RowParts{part_T, 5} : ops::RowParts{};
      const auto run = [&] {
        ops::dispatch(expert_Tk, 64, {capacity, {}}, parts).offsets.end_E(expert_Tk.device());
      };
      run();
      expect_no_wait(run, fmt::format("capacity {} parts {}", capacity, in_parts));
    }
}

// Scores, experts and weights, and the gradient by scores and weights alone and together.
TEST_F(CudaMoe, RoutingEqualsReference) {
  for (const int64_t experts : {1, 8, 31, 64, 256, 512, 600})
    for (const int64_t rows : {0, 1, 333})
      for (const bool sigmoid : {false, true})
        for (const bool with_bias : {false, true})
          for (const bool normalize : {false, true}) {
            torch::manual_seed(experts + rows);
            const ops::RoutingRule rule = {.top_k = std::min<int64_t>(experts, 6),
                                           .sigmoid = sigmoid,
                                           .normalize = normalize,
                                           .scale = normalize ? 2.5 : 1};
            const Tensor bias_E = with_bias ? torch::randn({experts}) * 0.1 : Tensor();
            const auto leaves = ops::as_leaves({torch::randn({rows, experts}, torch::kCUDA)});
            const auto exact = ops::as_leaves({leaves[0].detach().cpu().to(torch::kFloat64)});
            const ops::RoutedRows expected = ops::route_rows_reference(exact[0], bias_E, rule);
            const ops::RoutedRows actual =
                ops::route_rows(leaves[0], with_bias ? bias_E.to(torch::kCUDA) : Tensor(), rule);
            const std::string what = fmt::format("T {} E {} sigmoid {} bias {} normalize {}", rows, experts,
                                                 sigmoid, with_bias, normalize);
            EXPECT_TRUE(torch::equal(actual.expert_Tk.cpu(), expected.expert_Tk)) << what;
            if (rows == 0) continue;
            EXPECT_LT(ops::relative_error(actual.scores_TE.cpu(), expected.scores_TE), 1e-6) << what;
            EXPECT_LT(ops::relative_error(actual.weight_Tk.cpu(), expected.weight_Tk), 1e-6) << what;
            const Tensor by_score = torch::randn({rows, experts}),
                         by_weight = torch::randn({rows, rule.top_k});
            for (const auto& [score, weight] : {std::pair(1, 0), {0, 1}, {1, 1}}) {
              const auto grad = [&](const ops::RoutedRows& routed, const Tensor& leaf) {
                std::vector<Tensor> outputs, directions;
                if (score) outputs.push_back(routed.scores_TE), directions.push_back(by_score.to(leaf));
                if (weight) outputs.push_back(routed.weight_Tk), directions.push_back(by_weight.to(leaf));
                return torch::autograd::grad(outputs, {leaf}, directions, /*retain_graph=*/true)[0].cpu();
              };
              const Tensor wanted = grad(expected, exact[0]);
              EXPECT_LT((grad(actual, leaves[0]).to(torch::kFloat64) - wanted).norm().item<double>(),
                        2e-6 * std::max(1.0, wanted.norm().item<double>()))
                  << what << " gradients of scores " << score << " weights " << weight;
            }
          }
}

TEST_F(CudaMoe, TopKEqualsAStableSort) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  torch::manual_seed(6);
  for (const int64_t columns : {1, 8, 31, 64, 100, 256, 512, 700})
    for (const int64_t rows : {0, 1, 333}) {
      const int64_t k = std::min<int64_t>(columns, 8);
      Tensor x = torch::randn({rows, columns});
      if (columns <= 512)
        x = torch::where(x > 0, x, (x * 3).round());  // equal ones: the first is taken first
      if (rows > 5 && columns > 8 && columns <= 512) {
        x[0][5] = nan;
        x[1].fill_(nan);
        x[2].fill_(-infinity);
        x[3][7] = infinity;
        x[4].fill_(0.0f);
        x[4][3] = -0.0f;
      }
      const Tensor expected = std::get<1>(x.sort(/*stable=*/true, 1, /*descending=*/true)).narrow(1, 0, k);
      EXPECT_TRUE(torch::equal(ops::top_k(x.to(torch::kCUDA), k).cpu(), expected))
          << rows << " rows, " << columns << " columns";
    }
}

}  // namespace
}  // namespace dmoerm
