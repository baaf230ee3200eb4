#include "dmoerm/models/family.h"

#include <fmt/ranges.h>

namespace dmoerm::models {

const Family& find_family(std::string_view name, std::string_view where) {
  static const std::vector<const Family*> families = {&kDeepseekV2, &kDeepseekV3, &kGptNeox, &kLlama,
                                                      &kMistral,    &kMixtral,    &kOlmoe,   &kQwen2,
                                                      &kQwen2Moe,   &kQwen3,      &kQwen3Moe};
  std::vector<std::string_view> names;
  for (const Family* family : families) {
    if (family->name == name) return *family;
    names.push_back(family->name);
  }
  fail(where, "model_type \"{}\" is not a known family: expected one of {}", name, fmt::join(names, ", "));
}

}  // namespace dmoerm::models
