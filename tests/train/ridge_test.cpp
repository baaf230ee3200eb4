// Ridge regression against the normal equations, finite differences and planted weights.
#include "dmoerm/train/ridge.h"

#include <gmock/gmock.h>

#include "dmoerm/core/error.h"
#include "tests/train/random_tensor.h"

namespace dmoerm::train {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t kRows = 60, kWidth = 5;

// Two targets on correlated states that are far from zero; target 1 has every third row.
RidgeData small_data() {
  RidgeData data;
  data.z_RD = normal({kRows, kWidth}, 1).mm(normal({kWidth, kWidth}, 2)) + 3 * normal({kWidth}, 3);
  data.target_RP = data.z_RD.mm(normal({kWidth, 2}, 4)) + 2 * normal({kRows, 2}, 5) + 7;
  for (int64_t r = 0; r < kRows; ++r)
    if (r % 3 != 0) data.target_RP[r][1] = NAN;
  data.num_train = 40;
  return data;
}

// With a column of ones whose weight is not penalised, by a dense solve.
Tensor normal_equations(const Tensor& z_RD, const Tensor& target_R, double penalty) {
  const Tensor x = torch::cat({z_RD, torch::ones({z_RD.size(0), 1}, torch::kFloat64)}, 1);
  Tensor damping = torch::eye(x.size(1), torch::kFloat64) * penalty;
  damping[x.size(1) - 1][x.size(1) - 1] = 0;
  return torch::linalg_solve(x.t().mm(x) + damping, x.t().mv(target_R));
}

Tensor rows_with(const Tensor& target_R) {
  return target_R.isnan().logical_not().nonzero().squeeze(1);
}

TEST(Ridge, SolvesTheNormalEquationsOnEachTargetsRows) {
  const RidgeData data = small_data();
  for (const double penalty : {1e-4, 0.5, 300.0}) {
    const RidgeFit fit = fit_ridge(data, {"a", "b"}, {penalty});
    for (int64_t p = 0; p < 2; ++p) {
      const Tensor target_R = data.target_RP.narrow(0, 0, data.num_train).select(1, p);
      const Tensor rows = rows_with(target_R);
      const Tensor expected =
          normal_equations(data.z_RD.index_select(0, rows), target_R.index_select(0, rows), penalty);
      EXPECT_LT((fit.weight_PD[p] - expected.narrow(0, 0, kWidth)).abs().max().item<double>(), 1e-9);
      EXPECT_NEAR(fit.offset_P[p].item<double>(), expected[kWidth].item<double>(), 1e-8);
    }
  }
}

TEST(Ridge, TheLossRisesInEveryDirection) {
  const RidgeData data = small_data();
  const double penalty = 2;
  const RidgeFit fit = fit_ridge(data, {"a", "b"}, {penalty});
  const auto loss = [&](const Tensor& weight_D, double offset) {
    const Tensor error_R =
        data.z_RD.narrow(0, 0, 40).mv(weight_D) + offset - data.target_RP.narrow(0, 0, 40).select(1, 0);
    return (error_R.square().sum() + penalty * weight_D.square().sum()).item<double>();
  };
  const double offset = fit.offset_P[0].item<double>(), h = 1e-4;
  for (int64_t d = 0; d < kWidth; ++d) {
    Tensor up = fit.weight_PD[0].clone(), down = fit.weight_PD[0].clone();
    up[d] += h;
    down[d] -= h;
    EXPECT_NEAR((loss(up, offset) - loss(down, offset)) / (2 * h), 0, 1e-5);
  }
  EXPECT_NEAR((loss(fit.weight_PD[0], offset + h) - loss(fit.weight_PD[0], offset - h)) / (2 * h), 0, 1e-5);
}

TEST(Ridge, TakesThePenaltyOfTheSmallestHeldOutError) {
  const RidgeData data = small_data();
  const RidgeFit best = fit_ridge(data, {"a", "b"});
  for (int64_t p = 0; p < 2; ++p) {
    double smallest = INFINITY, at = 0;
    for (const double penalty : ridge_penalties()) {
      const RidgeFit fit = fit_ridge(data, {"a", "b"}, {penalty});
      const Tensor target_R = data.target_RP.narrow(0, 40, 20).select(1, p);
      const Tensor rows = rows_with(target_R);
      const Tensor fitted =
          data.z_RD.narrow(0, 40, 20).index_select(0, rows).mv(fit.weight_PD[p]) + fit.offset_P[p];
      const double error = (fitted - target_R.index_select(0, rows)).square().mean().item<double>();
      EXPECT_NEAR(fit.held_out_error[p], error, 1e-9 * error);
      if (error < smallest) smallest = error, at = penalty;
    }
    EXPECT_EQ(best.penalty[p], at);
    EXPECT_NEAR(best.held_out_error[p], smallest, 1e-9 * smallest);
  }
}

TEST(Ridge, RecoversPlantedWeightsOverManyBlocks) {
  constexpr int64_t rows = 9000, width = 8;
  RidgeData data;
  data.z_RD = (normal({rows, width}, 6) + 50).to(torch::kFloat32);
  const Tensor planted_PD = normal({3, width}, 7);
  data.target_RP = data.z_RD.to(torch::kFloat64).mm(planted_PD.t()) + 0.1 * normal({rows, 3}, 8) - 4;
  data.target_RP.select(1, 2).narrow(0, 1000, 6000).fill_(NAN);
  data.num_train = 8000;
  const RidgeFit fit = fit_ridge(data, {"a", "b", "c"});
  // Four standard errors: 0.1 / sqrt(2000 rows).
  EXPECT_LT((fit.weight_PD - planted_PD).abs().max().item<double>(), 0.009);
  for (const double error : fit.held_out_error) EXPECT_NEAR(error, 0.01, 0.002);
}

// More columns than rows, a constant column, a column twice: the penalty decides, nothing blows up.
TEST(Ridge, HoldsOnSingularStates) {
  RidgeData data;
  data.z_RD = normal({6, 10}, 9);
  data.z_RD.select(1, 3).fill_(2);
  data.z_RD.select(1, 4).copy_(data.z_RD.select(1, 5));
  data.target_RP = normal({6, 1}, 10);
  data.num_train = 4;
  const RidgeFit fit = fit_ridge(data, {"a"}, {1e-3});
  EXPECT_TRUE(fit.weight_PD.isfinite().all().item<bool>());
  EXPECT_NEAR(fit.weight_PD[0][3].item<double>(), 0, 1e-9);
  EXPECT_NEAR(fit.weight_PD[0][4].item<double>(), fit.weight_PD[0][5].item<double>(), 1e-9);
}

TEST(Ridge, AHeadThatExplainsNothingGivesTheMean) {
  RidgeData data = small_data();
  data.target_RP = torch::full({kRows, 1}, 0.25, torch::kFloat64);
  const RidgeFit fit = fit_ridge(data, {"a"});
  EXPECT_LT(fit.weight_PD.abs().max().item<double>(), 1e-12);
  EXPECT_NEAR(fit.offset_P[0].item<double>(), 0.25, 1e-12);
}

TEST(Ridge, NamesTheTargetThatCannotBeFitted) {
  const auto refuses = [](RidgeData data, const std::string& message) {
    EXPECT_THAT([&] { fit_ridge(data, {"logic", "style"}); }, ThrowsMessage<Error>(HasSubstr(message)));
  };
  RidgeData data = small_data();
  data.target_RP.select(1, 1).narrow(0, 0, 40).fill_(NAN);
  refuses(data, "style has no training rows");
  data = small_data();
  data.target_RP.select(1, 1).narrow(0, 40, 20).fill_(NAN);
  refuses(data, "style has no held-out rows");
  data = small_data();
  data.z_RD[3][2] = NAN;
  refuses(data, "logic: the training rows hold numbers that are not finite");
  data = small_data();
  data.z_RD[45][2] = INFINITY;
  refuses(data, "logic: the held-out rows hold numbers that are not finite");
}

}  // namespace
}  // namespace dmoerm::train
