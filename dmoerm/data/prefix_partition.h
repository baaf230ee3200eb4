// Which sequences share a prefix: the partition into sets with a common prefix that saves most tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dmoerm::data {

// Sequences whose first `length` tokens are computed once. A set of one has length 0.
struct PrefixSet {
  int64_t length = 0;
  std::vector<int32_t> members;  // indices of sequences, in the order of their content
};

// Every sequence is in exactly one set and keeps at least its last token as its own. A set of m members saves
// (m - 1) * length tokens; no partition saves more. Sequences must not be empty.
std::vector<PrefixSet> partition_by_prefix(std::span<const std::span<const int32_t>> sequences);

}  // namespace dmoerm::data
