// Learns the merges of a byte-level BPE from counted words (Sennrich et al. 2016).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dmoerm/text/bpe_model.h"

namespace dmoerm::text {

// How often each word (its bytes) occurs.
using WordCounts = std::unordered_map<std::string, int64_t, StringHash, std::equal_to<>>;

// The merges (byte strings), first learned first, that add up to `num_tokens` tokens to the 256 bytes; fewer
// when no pair is left that occurs `min_frequency` times. Each merges the most frequent pair of tokens; among
// equals, the pair whose tokens are older. The result depends on the counts alone, not on the order of the
// map.
std::vector<std::pair<std::string, std::string>> train_bpe(const WordCounts& words, int64_t num_tokens,
                                                           int64_t min_frequency = 2);

}  // namespace dmoerm::text
