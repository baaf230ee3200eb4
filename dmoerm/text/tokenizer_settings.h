// What a tokenizer's folder must say so that other tools score as we do: padding token, length limit,
// template.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "dmoerm/text/tokenizer.h"

namespace dmoerm::text {

// A token for padding that the model's vocabulary of `vocab_size` holds and that is none of `closing`, the
// ids that end sequences: transformers scores the last token that is not padding. The tokenizer's own comes
// first. Where there is none nothing is given, and a warning says what that means.
std::optional<int32_t> choose_padding(const Tokenizer& tokenizer, int64_t vocab_size,
                                      const std::set<int32_t>& closing);

struct TokenizerSettings {
  std::string chat_format;
  int64_t max_tokens = 0;
  std::optional<int32_t> padding = {};  // nothing: what the tokenizer says stays
};

// Writes the tokenizer's files into `directory`, which exists, with these settings in tokenizer_config.json.
void save_tokenizer(const std::filesystem::path& directory, const Tokenizer& tokenizer,
                    const TokenizerSettings& settings);

}  // namespace dmoerm::text
