#include "dmoerm/reward/capability_expert.h"

namespace dmoerm::reward {

CapabilityExpert CapabilityExpert::load(const std::filesystem::path& directory, std::string point,
                                        const nn::Decoder& decoder, const models::WeightNames& names) {
  CapabilityExpert expert{std::move(point), models::load_adapter(directory, decoder, names)};
  const Tensor& head = expert.adapter.score_weight;
  if (!head.defined()) fail(directory.string(), "the adapter holds no score head, expected \"score.weight\"");
  if (head.size(0) != 1) fail(directory.string(), "the score head has {} labels, expected 1", head.size(0));
  return expert;
}

}  // namespace dmoerm::reward
