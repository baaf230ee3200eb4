// A capability expert: one LoRA over the task's base, with its own score head.
#pragma once

#include <filesystem>
#include <string>

#include "dmoerm/models/adapter.h"

namespace dmoerm::reward {

struct CapabilityExpert {
  std::string point;        // the capability that it judges
  models::Adapter adapter;  // adapter.score_weight [1, D] is its head

  // Error when the directory holds no head or one of several labels.
  static CapabilityExpert load(const std::filesystem::path& directory, std::string point,
                               const nn::Decoder& decoder, const models::WeightNames& names = {});
};

}  // namespace dmoerm::reward
