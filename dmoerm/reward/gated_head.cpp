#include "dmoerm/reward/gated_head.h"

#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"

namespace dmoerm::reward {
namespace {

constexpr const char* kTrained = "gate.";

std::string layer_name(int64_t layer) {
  return fmt::format("gate.fc{}", layer + 1);
}

std::map<std::string, std::vector<int64_t>> tensor_shapes(const GateShape& gate, int64_t P, int64_t D) {
  const int64_t H = gate.hidden;
  std::map<std::string, std::vector<int64_t>> shapes = {
      {"ratings.weight", {P, D}}, {"ratings.bias", {P}},       {"verbosity.penalty", {P}},
      {"verbosity.mean", {1}},    {"verbosity.std", {1}},      {"input.mean", {D}},
      {"input.std", {D}},         {"gate.out.weight", {P, H}}, {"gate.out.bias", {P}},
      {"gate.log_scale", {1}}};
  for (int64_t layer = 0; layer < gate.layers; ++layer) {
    shapes[layer_name(layer) + ".weight"] = {H, layer == 0 ? D : H};
    shapes[layer_name(layer) + ".bias"] = {H};
  }
  return shapes;
}

void fill_uniform(Tensor& tensor, double bound, RandomStream& random) {
  auto* values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i)
    values[i] = static_cast<float>((2 * random.uniform() - 1) * bound);
}

}  // namespace

GatedHead::GatedHead(const GateShape& shape, const RatingHeads& heads, const GateStart& start)
    : GatedHead(shape, heads.weight_PD.size(0), heads.weight_PD.size(1)) {
  for (const auto& [name, sizes] : tensor_shapes(shape_, num_objectives_, width_))
    tensors_[name] = torch::zeros(sizes);
  const auto set = [&](const char* name, const Tensor& value) { tensors_.at(name).copy_(value); };
  set("ratings.weight", heads.weight_PD);
  set("ratings.bias", heads.bias_P);
  set("verbosity.penalty", heads.penalty_P);
  tensors_.at("verbosity.mean").fill_(heads.length_mean);
  tensors_.at("verbosity.std").fill_(heads.length_std);
  set("input.mean", start.mean_D);
  set("input.std", start.std_D);
  tensors_.at("gate.log_scale").fill_(std::log(start.scale));
  RandomStream random(start.seed, "gate");
  for (int64_t layer = 0; layer < shape_.layers; ++layer) {
    Tensor& weight = tensors_.at(layer_name(layer) + ".weight");
    const double bound = 1 / std::sqrt(static_cast<double>(weight.size(1)));
    fill_uniform(weight, bound, random);
    fill_uniform(tensors_.at(layer_name(layer) + ".bias"), bound, random);
  }
}

Tensor GatedHead::ratings(const Tensor& z_RD, const Tensor& length_R) const {
  const Tensor& weight_PD = tensor("ratings.weight");
  const Tensor length = (length_R.to(weight_PD) - tensor("verbosity.mean")) / tensor("verbosity.std");
  return torch::linear(z_RD.to(weight_PD), weight_PD, tensor("ratings.bias")) -
         length.unsqueeze(1) * tensor("verbosity.penalty");
}

Tensor GatedHead::weights(const Tensor& prompt_GD) const {
  const Tensor& mean_D = tensor("input.mean");
  Tensor hidden = (prompt_GD.to(mean_D) - mean_D) / tensor("input.std");
  for (int64_t layer = 0; layer < shape_.layers; ++layer)
    hidden = torch::linear(hidden, tensor(layer_name(layer) + ".weight"), tensor(layer_name(layer) + ".bias"))
                 .relu();
  const Tensor logits_GP = torch::linear(hidden, tensor("gate.out.weight"), tensor("gate.out.bias"));
  return tensor("gate.log_scale").exp() * (logits_GP / shape_.temperature).softmax(-1);
}

Tensor GatedHead::reward(const GatedInputs& inputs) const {
  const Tensor weight_RP = weights(inputs.prompt_GD).index_select(0, inputs.prompt_R);
  return (weight_RP * ratings(inputs.z_RD, inputs.length_R)).sum(-1);
}

NamedTensors GatedHead::gate_parameters() const {
  NamedTensors trained;
  for (const auto& [name, value] : tensors_)
    if (name.starts_with(kTrained)) trained[name] = value;
  return trained;
}

GatedHead GatedHead::load(const std::filesystem::path& file, const GateShape& shape, int64_t num_objectives,
                          int64_t width, torch::Device device) {
  const auto shapes = tensor_shapes(shape, num_objectives, width);
  const SafeTensors stored(file);
  for (const auto& name : stored.names())
    if (!shapes.count(name)) fail(file.string(), "tensor \"{}\" is no part of a gated head", name);
  GatedHead head(shape, num_objectives, width);
  for (const auto& [name, sizes] : shapes) {
    if (!stored.contains(name)) fail(file.string(), "tensor \"{}\" is missing", name);
    if (stored.shape(name) != sizes)
      fail(file.string(), "tensor \"{}\" has shape [{}], expected [{}]", name,
           fmt::join(stored.shape(name), ", "), fmt::join(sizes, ", "));
    const Tensor value = stored.tensor(name).to(torch::kFloat);
    if (!value.isfinite().all().item<bool>())
      fail(file.string(), "tensor \"{}\" holds numbers that are not finite", name);
    if (name.ends_with(".std") && !value.gt(0).all().item<bool>())
      fail(file.string(), "tensor \"{}\" holds deviations that are not above zero", name);
    head.tensors_[name] = value.to(device, /*non_blocking=*/false, /*copy=*/true);
  }
  return head;
}

void GatedHead::save(const std::filesystem::path& file) const {
  save_safetensors(file, tensors_);
}

}  // namespace dmoerm::reward
