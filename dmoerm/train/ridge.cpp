// B rows of a block, A penalties.
#include "dmoerm/train/ridge.h"

#include <algorithm>

#include "dmoerm/core/error.h"

namespace dmoerm::train {
namespace {

constexpr int64_t kBlock = 2048;  // rows in float64 at once

// Calls use(z_BD, target_B), both float64, until all rows of [begin, end) that have target p were given.
template <typename Use>
void for_each_block(const RidgeData& data, int64_t p, int64_t begin, int64_t end, const Use& use) {
  for (int64_t from = begin; from < end; from += kBlock) {
    const int64_t count = std::min(kBlock, end - from);
    const Tensor target_B = data.target_RP.narrow(0, from, count).select(1, p);
    const Tensor has_B = target_B.isnan().logical_not().nonzero().squeeze(1);
    if (has_B.numel() == 0) continue;
    use(data.z_RD.narrow(0, from, count).index_select(0, has_B).to(torch::kFloat64),
        target_B.index_select(0, has_B));
  }
}

// The means of states and target over the training rows of one target, and the moments about them.
struct Moments {
  Tensor mean_D, gram_DD, cross_D;
  double target_mean = 0;
};

Moments training_moments(const RidgeData& data, int64_t p, const std::string& name) {
  const int64_t D = data.z_RD.size(1);
  const auto wide = torch::dtype(torch::kFloat64);
  int64_t rows = 0;
  Moments moments{torch::zeros({D}, wide), torch::zeros({D, D}, wide), torch::zeros({D}, wide)};
  for_each_block(data, p, 0, data.num_train, [&](const Tensor& z_BD, const Tensor& target_B) {
    rows += target_B.numel();
    moments.mean_D += z_BD.sum(0);
    moments.target_mean += target_B.sum().item<double>();
  });
  if (rows == 0) fail("ridge", "{} has no training rows, expected at least one", name);
  moments.mean_D /= rows;
  moments.target_mean /= static_cast<double>(rows);
  for_each_block(data, p, 0, data.num_train, [&](const Tensor& z_BD, const Tensor& target_B) {
    const Tensor centred_BD = z_BD - moments.mean_D;
    moments.gram_DD.addmm_(centred_BD.t(), centred_BD);
    moments.cross_D.addmv_(centred_BD.t(), target_B - moments.target_mean);
  });
  if (!moments.gram_DD.isfinite().all().item<bool>() || !moments.cross_D.isfinite().all().item<bool>())
    fail("ridge", "{}: the training rows hold numbers that are not finite", name);
  return moments;
}

// (gram + penalty I)^-1 cross for every penalty, from one eigendecomposition.
Tensor solve(const Moments& moments, const Tensor& penalty_A) {
  const auto [value_D, vector_DD] = torch::linalg_eigh(moments.gram_DD);
  const Tensor projected_D = vector_DD.t().mv(moments.cross_D);
  const Tensor damped_AD = value_D.clamp_min(0).unsqueeze(0) + penalty_A.unsqueeze(1);
  return (projected_D / damped_AD).mm(vector_DD.t());
}

Tensor held_out_errors(const RidgeData& data, int64_t p, const Moments& moments, const Tensor& weight_AD,
                       const std::string& name) {
  int64_t rows = 0;
  Tensor error_A = torch::zeros({weight_AD.size(0)}, torch::kFloat64);
  for_each_block(data, p, data.num_train, data.z_RD.size(0), [&](const Tensor& z_BD, const Tensor& target_B) {
    rows += target_B.numel();
    const Tensor fitted_BA = (z_BD - moments.mean_D).mm(weight_AD.t()) + moments.target_mean;
    error_A += (fitted_BA - target_B.unsqueeze(1)).square().sum(0);
  });
  if (rows == 0) fail("ridge", "{} has no held-out rows to choose the penalty by", name);
  if (!error_A.isfinite().all().item<bool>())
    fail("ridge", "{}: the held-out rows hold numbers that are not finite", name);
  return error_A / rows;
}

}  // namespace

std::vector<double> ridge_penalties() {
  return {1e-4, 1e-3, 1e-2, 1e-1, 1, 1e1, 1e2, 1e3, 1e4};
}

RidgeFit fit_ridge(const RidgeData& data, const std::vector<std::string>& names,
                   const std::vector<double>& penalties) {
  torch::NoGradGuard no_grad;
  const int64_t P = data.target_RP.size(1);
  DMOERM_ASSERT(data.target_RP.size(0) == data.z_RD.size(0) && names.size() == P && !penalties.empty());
  std::vector<double> descending(penalties);
  std::ranges::sort(descending, std::greater<>());
  DMOERM_ASSERT(descending.back() > 0);
  const Tensor penalty_A = torch::tensor(descending, torch::kFloat64);
  RidgeFit fit;
  std::vector<Tensor> weights, offsets;
  for (int64_t p = 0; p < P; ++p) {
    const Moments moments = training_moments(data, p, names[p]);
    const Tensor weight_AD = solve(moments, penalty_A);
    const Tensor error_A = held_out_errors(data, p, moments, weight_AD, names[p]);
    const auto best = error_A.argmin().item<int64_t>();
    weights.push_back(weight_AD[best]);
    offsets.push_back(moments.target_mean - weight_AD[best].dot(moments.mean_D));
    fit.penalty.push_back(descending[best]);
    fit.held_out_error.push_back(error_A[best].item<double>());
  }
  fit.weight_PD = torch::stack(weights);
  fit.offset_P = torch::stack(offsets);
  return fit;
}

}  // namespace dmoerm::train
