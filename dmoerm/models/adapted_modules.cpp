#include "dmoerm/models/adapted_modules.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "dmoerm/core/error.h"

namespace dmoerm::models {
namespace {

constexpr std::string_view kExperts = "mlp.experts.";

// "layers.0.mlp.experts.3.gate_proj": one expert's projection.
struct ExpertLayer {
  std::string layers;  // "layers.0."
  int64_t expert = 0;
  std::string projection;
};

std::optional<ExpertLayer> split_expert_layer(const std::string& layer) {
  const size_t place = layer.find(kExperts);
  if (place == std::string::npos) return std::nullopt;
  ExpertLayer parts;
  parts.layers = layer.substr(0, place);
  const char* begin = layer.data() + place + kExperts.size();
  const auto [end, error] = std::from_chars(begin, layer.data() + layer.size(), parts.expert);
  DMOERM_ASSERT(error == std::errc() && *end == '.');
  parts.projection = layer.substr(end + 1 - layer.data());
  return parts;
}

// The stored name of a projection, with '*' for the expert's number: "block_sparse_moe.experts.*.w1".
std::string stored_projection(const WeightNames& names, const std::string& projection) {
  const bool down = projection == "down_proj";
  const std::string stack = std::string(kExperts) + (down ? "down_proj" : "gate_up_proj");
  const auto row = std::ranges::find(names.modules, stack, &StoredModule::canonical);
  const size_t part = projection == "up_proj" ? 1 : 0;
  if (row == names.modules.end() || row->stored.size() <= part)
    return std::string(kExperts) + "*." + projection;
  std::string stored(row->stored[part]);
  if (stored.ends_with(".weight")) stored.resize(stored.size() - std::string_view(".weight").size());
  return stored;
}

}  // namespace

std::string module_name(const WeightNames& names, const std::string& layer) {
  const auto parts = split_expert_layer(layer);
  if (!parts) return names.module_of(layer);
  std::string stored = stored_projection(names, parts->projection);
  if (const size_t star = stored.find('*'); star != std::string::npos)
    stored.replace(star, 1, std::to_string(parts->expert));
  return std::string(names.prefix) + parts->layers + stored;
}

std::vector<AdaptedModule> adapted_modules(const std::vector<nn::LinearShape>& layers,
                                           const WeightNames& names) {
  std::vector<AdaptedModule> result;
  for (const nn::LinearShape& layer : layers) result.push_back({module_name(names, layer.name), layer});
  return result;
}

std::vector<ExpertStack> expert_stacks(const std::vector<nn::LinearShape>& layers, const WeightNames& names) {
  std::vector<ExpertStack> result;
  for (const nn::LinearShape& layer : layers) {
    const auto parts = split_expert_layer(layer.name);
    if (!parts || parts->projection == "up_proj") continue;
    const bool alone = parts->projection == "gate_proj";  // up_proj is the stack's other half
    const std::string inner =
        parts->layers + std::string(kExperts);  // the stack's own names, whatever is stored
    const ExpertStack stack = {std::string(names.prefix) + inner.substr(0, inner.size() - 1),
                               alone ? "gate_up_proj" : parts->projection,
                               inner,
                               parts->expert + 1,
                               alone ? 2 * layer.out : layer.out,
                               layer.in};
    const auto old = std::ranges::find(result, stack.name(), &ExpertStack::name);
    if (old == result.end())
      result.push_back(stack);
    else
      old->num_experts = std::max(old->num_experts, stack.num_experts);
  }
  return result;
}

}  // namespace dmoerm::models
