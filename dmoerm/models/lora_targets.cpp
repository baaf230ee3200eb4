// Which layers a target list of PEFT means, and checks of LoRA settings.
#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/models/adapter_config.h"

namespace dmoerm::models {
namespace {

bool is_named(const AdaptedModule& module, const std::string& target) {
  return module.name == target || module.name.ends_with("." + target);
}

}  // namespace

std::vector<AdaptedModule> target_modules(const std::vector<std::string>& targets,
                                          const std::vector<AdaptedModule>& modules, std::string_view where) {
  if (targets.empty()) fail(where, "target_modules is empty, expected at least one");
  if (targets == std::vector<std::string>{"all-linear"}) return modules;
  for (const std::string& target : targets)
    if (std::ranges::none_of(modules, [&](const auto& module) { return is_named(module, target); }))
      fail(where, "target module \"{}\" matches no linear layer, expected ends of names such as {}", target,
           modules.front().name);
  std::vector<AdaptedModule> result;
  std::ranges::copy_if(modules, std::back_inserter(result), [&](const auto& module) {
    return std::ranges::any_of(targets, [&](const auto& target) { return is_named(module, target); });
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
