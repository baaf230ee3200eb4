#include "dmoerm/data/split.h"

#include <cmath>
#include <set>

#include "dmoerm/core/hash.h"

namespace dmoerm::data {

double split_position(uint64_t prompt_hash, std::string_view salt) {
  return static_cast<double>(hash_combine(hash64(salt), prompt_hash) >> 11) * 0x1.0p-53;
}

std::string guessed_prompts_text(int64_t records) {
  return fmt::format(
      "{} records name no prompt: what their two texts begin with is taken, so that pairs of one question "
      "may fall into different parts of a split",
      records);
}

PromptSplit::PromptSplit(std::string salt, std::vector<SplitPart> parts)
    : salt_(std::move(salt)), parts_(std::move(parts)) {
  double sum = 0;
  std::set<std::string> names;
  for (const SplitPart& part : parts_) {
    if (!(part.share > 0))
      fail("split", "the share of \"{}\" is {}, expected more than 0", part.name, part.share);
    if (part.name.empty() || part.name == "." || part.name == ".." ||
        part.name.find('/') != std::string::npos)
      fail("split", "a part is called \"{}\", expected a name that a file can have", part.name);
    if (!names.insert(part.name).second) fail("split", "the part \"{}\" is named twice", part.name);
    sum += part.share;
  }
  if (std::abs(sum - 1) > 1e-9) fail("split", "the shares sum to {}, expected 1", sum);
}

size_t PromptSplit::part_of(uint64_t prompt_hash) const {
  double position = split_position(prompt_hash, salt_);
  for (size_t i = 0; i + 1 < parts_.size(); ++i) {
    if (position < parts_[i].share) return i;
    position -= parts_[i].share;
  }
  return parts_.size() - 1;
}

Json PromptSplit::to_json() const {
  Json parts = Json::array();
  for (const SplitPart& part : parts_) parts.push_back({{"name", part.name}, {"share", part.share}});
  return {{"by", "prompt"}, {"salt", salt_}, {"parts", parts}};
}

}  // namespace dmoerm::data
