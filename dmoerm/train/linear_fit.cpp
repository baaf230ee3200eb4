#include "dmoerm/train/linear_fit.h"

#include "dmoerm/core/error.h"

namespace dmoerm::train {

LinearFit fit_linear(const StateExamples& examples, const Tensor& head_KD, double l2) {
  torch::NoGradGuard no_grad;
  const int64_t num_experts = head_KD.size(0);
  const Tensor head_1KD = head_KD.cpu().unsqueeze(0);
  std::vector<Tensor> scores;
  for (const Tensor& z_RKD : examples.z_RKD.split(kStatesAtOnce))
    scores.push_back((z_RKD * head_1KD).sum(-1));
  const Tensor score_RK = torch::cat(scores).to(torch::kFloat64);
  const Tensor mean_K = score_RK.mean(0);
  const Tensor std_K = score_RK.std(0, /*unbiased=*/false).clamp_min(1e-12);
  const Tensor standard_RK = (score_RK - mean_K) / std_K;

  std::vector<int64_t> better, worse;
  std::vector<double> weight, margin;
  for (const auto& edges : examples.train) {
    double total = 0;
    for (const data::Edge& edge : edges) total += edge.weight;
    for (const data::Edge& edge : edges) {
      better.push_back(edge.better);
      worse.push_back(edge.worse);
      weight.push_back(edge.weight / total / static_cast<double>(examples.train.size()));
      margin.push_back(edge.margin);
    }
  }
  if (better.empty()) fail("phase 3", "there are no preferences to fit the combination on");
  const auto as_double = torch::TensorOptions().dtype(torch::kFloat64);
  const Tensor x_EK =
      standard_RK.index_select(0, torch::tensor(better)) - standard_RK.index_select(0, torch::tensor(worse));
  const Tensor weight_E = torch::tensor(weight, as_double), margin_E = torch::tensor(margin, as_double);
  Tensor c_K = torch::zeros({num_experts}, as_double);
  const Tensor ridge_KK = torch::eye(num_experts, as_double) * l2;
  const auto loss = [&](const Tensor& at_K) {
    const Tensor loss_E = torch::softplus(margin_E - x_EK.mv(at_K));
    return (0.5 * l2 * at_K.square().sum() + (weight_E * loss_E).sum()).item<double>();
  };
  // Newton's method. Where margins make the loss nearly flat at first, its step goes too far: it is halved
  // until the loss falls by a part of what its slope promises (Armijo).
  for (int i = 0; i < 50; ++i) {
    const Tensor wrong_E = torch::sigmoid(margin_E - x_EK.mv(c_K));  // -d loss / d difference
    const Tensor gradient_K = l2 * c_K - x_EK.t().mv(weight_E * wrong_E);
    const Tensor curvature_E = weight_E * wrong_E * (1 - wrong_E);
    const Tensor hessian_KK = x_EK.t().mm(x_EK * curvature_E.unsqueeze(1)) + ridge_KK;
    Tensor step_K = torch::linalg_solve(hessian_KK, gradient_K);
    const double before = loss(c_K), slope = step_K.dot(gradient_K).item<double>();
    constexpr double kPart = 1e-4, kSmallest = 1e-6;
    for (double length = 1; loss(c_K - step_K) > before - kPart * length * slope && length > kSmallest;
         length /= 2)
      step_K = step_K / 2;
    c_K = c_K - step_K;
    if (step_K.abs().max().item<double>() < 1e-10) break;
  }
  return {mean_K, std_K, c_K};
}

std::vector<double> LinearFit::weights() const {
  const Tensor weight_K = (coefficient_K / std_K).contiguous();
  return {weight_K.data_ptr<double>(), weight_K.data_ptr<double>() + weight_K.numel()};
}

reward::LinearCombination LinearFit::combination(const Tensor& head_KD) const {
  const auto options = torch::TensorOptions().dtype(torch::kFloat32);
  const Tensor head = head_KD.to(options.device(torch::kCPU));
  return {(head / std_K.to(options).unsqueeze(1)).contiguous(), (-mean_K / std_K).to(options),
          coefficient_K.to(options)};
}

}  // namespace dmoerm::train
