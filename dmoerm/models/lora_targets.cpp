// Which layers a target list of PEFT means, and checks of LoRA settings.
#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/models/adapter_config.h"

namespace dmoerm::models {

std::vector<nn::LinearShape> target_layers(const std::vector<std::string>& targets,
                                           const std::vector<nn::LinearShape>& layers,
                                           bool every_target_matches, std::string_view where) {
  if (targets.empty()) fail(where, "target_modules is empty, expected at least one");
  if (targets == std::vector<std::string>{"all-linear"}) return layers;
  const auto means = [](const std::string& target, const nn::LinearShape& layer) {
    const std::string module = kModulePrefix + layer.name;
    return module == target || module.ends_with("." + target);
  };
  if (every_target_matches)
    for (const std::string& target : targets)
      if (std::ranges::none_of(layers, [&](const auto& layer) { return means(target, layer); }))
        fail(where,
             "target module \"{}\" matches no linear layer, expected names such as q_proj or mlp.up_proj",
             target);
  std::vector<nn::LinearShape> result;
  std::ranges::copy_if(layers, std::back_inserter(result), [&](const auto& layer) {
    return std::ranges::any_of(targets, [&](const auto& target) { return means(target, layer); });
  });
  if (result.empty()) fail(where, "no target module matches a linear layer: \"{}\" …", targets.front());
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
