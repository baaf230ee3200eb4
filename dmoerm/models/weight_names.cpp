#include "dmoerm/models/weight_names.h"

#include <algorithm>

#include "dmoerm/core/error.h"

namespace dmoerm::models {
namespace {

// "layers.3.", "self_attn.o_proj", ".weight"; the outer two may be empty.
struct NameParts {
  std::string_view layer, module, suffix;
};

NameParts split(std::string_view name) {
  NameParts parts;
  if (name.starts_with("layers.")) {
    parts.layer = name.substr(0, name.find('.', 7) + 1);
    name.remove_prefix(parts.layer.size());
  }
  for (const std::string_view suffix : {".weight", ".bias"})
    if (name.ends_with(suffix)) parts.suffix = suffix;
  name.remove_suffix(parts.suffix.size());
  parts.module = name;
  return parts;
}

std::vector<std::string_view> stored_modules(const WeightNames& names, std::string_view module) {
  const auto row = std::ranges::find(names.modules, module, &StoredModule::canonical);
  return row == names.modules.end() ? std::vector{module} : row->stored;
}

}  // namespace

std::string WeightNames::module_of(const std::string& layer) const {
  const NameParts parts = split(layer);
  const auto stored = stored_modules(*this, parts.module);
  DMOERM_ASSERT(stored.size() == 1 && parts.suffix.empty());
  return fmt::format("{}{}{}", prefix, parts.layer, stored.front());
}

std::vector<std::string> WeightNames::tensors_of(const std::string& weight,
                                                 const std::vector<int64_t>& shape) const {
  const NameParts parts = split(weight);
  const auto patterns = stored_modules(*this, parts.module);
  const bool stacked = patterns.front().find('*') != std::string_view::npos;
  std::vector<std::string> result;
  for (int64_t expert = 0; expert < (stacked ? shape.front() : 1); ++expert)
    for (const std::string_view pattern : patterns) {
      std::string module(pattern);
      if (stacked) module.replace(module.find('*'), 1, std::to_string(expert));
      result.push_back(fmt::format("{}{}{}", parts.layer, module, parts.suffix));
    }
  return result;
}

}  // namespace dmoerm::models
