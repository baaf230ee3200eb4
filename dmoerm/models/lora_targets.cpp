// Which layers a target list of PEFT means, and checks of LoRA settings.
#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/models/adapter_config.h"

namespace dmoerm::models {
namespace {

bool is_named(const nn::LinearShape& layer, const std::string& target) {
  const std::string module = kModulePrefix + layer.name;
  return module == target || module.ends_with("." + target);
}

}  // namespace

std::vector<nn::LinearShape> target_layers(const std::vector<std::string>& targets,
                                           const std::vector<nn::LinearShape>& layers,
                                           std::string_view where) {
  if (targets.empty()) fail(where, "target_modules is empty, expected at least one");
  if (targets == std::vector<std::string>{"all-linear"}) return layers;
  for (const std::string& target : targets)
    if (std::ranges::none_of(layers, [&](const auto& layer) { return is_named(layer, target); }))
      fail(where,
           "target module \"{}\" matches no linear layer, expected names such as q_proj or mlp.up_proj",
           target);
  std::vector<nn::LinearShape> result;
  std::ranges::copy_if(layers, std::back_inserter(result), [&](const auto& layer) {
    return std::ranges::any_of(targets, [&](const auto& target) { return is_named(layer, target); });
  });
  return result;
}

void check_lora(const LoraOptions& options, std::string_view where) {
  if (options.rank < 1 || options.rank > 1 << 16)
    fail(where, "LoRA rank is {}, expected at least 1", options.rank);
  if (!std::isfinite(options.alpha)) fail(where, "LoRA alpha is {}, expected a finite number", options.alpha);
  if (!(options.dropout >= 0 && options.dropout < 1))
    fail(where, "LoRA dropout is {}, expected 0 up to below 1", options.dropout);
}

double lora_scale(double alpha, int64_t rank, bool rslora) {
  return alpha / (rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
}

}  // namespace dmoerm::models
