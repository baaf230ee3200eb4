// Packing: token sequences -> one batch without padding in which shared prefixes are computed once.
//
// Tokens of all segments stand one after another. A segment is a shared prefix (a root) or the rest of a
// sequence (a child of that root, or a root of its own). A token attends causally inside its own segment and
// to all of its segment's parent. For a causal model this is exactly each sequence run alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace dmoerm::data {

struct Segment {
  int32_t begin = 0, length = 0;  // rows [begin, begin + length) of the batch; length >= 1
  int32_t parent = -1;            // index of the parent segment, always smaller than its own; -1: a root
};

// Segments in row order. A tree (a root followed directly by its children) is contiguous.
struct SegmentTable {
  std::vector<Segment> segments;
  std::vector<int32_t> roots;  // indices of the root segments, ascending
  int64_t num_rows = 0;
  // Number of tokens before the segment in its sequence: the position of its first token.
  int32_t position_of(const Segment& segment) const {
    return segment.parent < 0 ? 0 : segments[segment.parent].length;
  }
};

// One sequence to be computed, by one expert. Sequences that may share a prefix carry the same `group`.
struct PackItem {
  std::span<const int32_t> tokens;  // at least one token
  int64_t group = 0;
  int32_t expert = -1;  // -1: the base without any expert
};

struct PackedBatch {
  std::vector<int64_t> tokens;     // [T]
  std::vector<int64_t> positions;  // [T] place in the own sequence
  // [T] hash of (group, the sequence's tokens up to this one): equal for a token that is shared and for its
  // copies when it is not, so that dropout drawn from it does not depend on sharing or on how batches are
  // cut.
  std::vector<uint64_t> row_keys;
  std::shared_ptr<const SegmentTable> segments;
  std::vector<int64_t> last_token;  // [R] row of the last token of item r, in the order of the items given
  // Rows are sorted by expert: rows of the base are [0, expert_offsets[0]), of expert e
  // [expert_offsets[e], expert_offsets[e + 1]). Size: number of experts + 1.
  std::vector<int64_t> expert_offsets;
  int64_t num_unshared_tokens = 0;  // what a padded or unshared run would compute

  int64_t num_tokens() const { return static_cast<int64_t>(tokens.size()); }
};

// Packs all items into one batch. Sharing is found per (expert, group): the partition of the group's
// sequences (sorted by content) that saves most tokens; every sequence keeps at least its last token as its
// own, and those of more than `longest_sharing` tokens are computed alone. `num_experts` is K of
// expert_offsets.
PackedBatch pack(std::span<const PackItem> items, int32_t num_experts = 0, bool share_prefixes = true,
                 int64_t longest_sharing = INT64_MAX);

// Tokens that pack() will compute for items of one group and expert (their cost).
int64_t packed_size(std::span<const std::span<const int32_t>> sequences, bool share_prefixes = true,
                    int64_t longest_sharing = INT64_MAX);

// Distributes items of the given costs over micro-batches of at most `budget` tokens, the long ones first,
// each to the emptiest batch, so that batches are even. An item above the budget gets a batch of its own.
// Returns item indices for each batch; deterministic.
std::vector<std::vector<int64_t>> plan_batches(std::span<const int64_t> costs, int64_t budget);

}  // namespace dmoerm::data
