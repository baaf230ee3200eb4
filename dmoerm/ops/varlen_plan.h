// Group attention as calls of attention kernels for sequences of different lengths ("varlen"): queries stand
// one sequence after another, keys too, and cumulative numbers say where each sequence begins.
#pragma once

#include <optional>

#include "dmoerm/ops/group_attention.h"

namespace dmoerm::ops {

struct VarlenSequences {
  std::vector<int32_t> cu_q = {0}, cu_k = {0};  // [sequences + 1] queries and keys before each sequence
  int64_t max_q = 1, max_k = 1;                 // of a sequence

  void add(int64_t num_queries, int64_t num_keys);
  bool empty() const { return cu_q.size() == 1; }
};

// Rows of k and v copied one after another, and how the gradients of the copies come back: row rows[i]
// receives the copies sources[offsets[i]] … sources[offsets[i + 1] - 1].
struct KeyCopies {
  std::vector<int32_t> row_of;  // [copies]
  std::vector<int32_t> rows;    // [N] ascending, each once
  std::vector<int32_t> offsets, sources;
};

enum class KeyLayout {
  // `causal` covers each segment's own rows, where they are; `parent` lets the children of a root see copies
  // of
  // its rows. The two results are merged by their log-sum-exp. A prompt is read once for all of its answers.
  Shared,
  // `causal` covers copies of [parent; own rows] for each segment with queries; `parent` is empty. For
  // windows
  // that begin inside the parent at another row for each query, and for kernels without a log-sum-exp by row.
  Gathered
};

struct VarlenPlan {
  VarlenSequences causal;              // the queries are the last rows of their sequence
  VarlenSequences parent;              // each query sees all of its sequence
  KeyCopies copies;                    // keys of `parent` (Shared) or `causal` (Gathered)
  std::vector<int32_t> child_queries;  // queries that are to be merged: those of `parent` that have keys
};

// The window, or 0 when no sequence is longer than it, so that it hides nothing.
int64_t effective_window(const data::SegmentTable& table, int64_t window);

// Nothing when the queries of some segment are not its last rows. `window`: the effective one; the shared
// layout knows none in parents.
std::optional<VarlenPlan> plan_varlen(const data::SegmentTable& table, const std::vector<int64_t>& query_rows,
                                      KeyLayout layout, int64_t window);

}  // namespace dmoerm::ops
