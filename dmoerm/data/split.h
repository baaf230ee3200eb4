// Splits by a salted hash of the prompt: every answer to a prompt stays in one part, whatever file it comes
// from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/core/json.h"

namespace dmoerm::data {

// Uniform in [0, 1): a function of the prompt and the salt alone. Each split has a salt of its own, so that
// one split tells nothing about another.
double split_position(uint64_t prompt_hash, std::string_view salt);

// Says that this many records' prompts are guessed (PreferenceRecord::prompt_guessed), and what that means.
std::string guessed_prompts_text(int64_t records);

struct SplitPart {
  std::string name;
  double share = 0;
};

class PromptSplit {
 public:
  // Error unless the shares are positive and sum to 1, and the names are distinct.
  PromptSplit(std::string salt, std::vector<SplitPart> parts);

  size_t part_of(uint64_t prompt_hash) const;  // index into parts()
  const std::vector<SplitPart>& parts() const { return parts_; }
  Json to_json() const;  // {"by": "prompt", "salt", "parts": [{"name", "share"}…]}, to be kept beside a run

 private:
  std::string salt_;
  std::vector<SplitPart> parts_;
};

}  // namespace dmoerm::data
