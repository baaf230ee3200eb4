// A varlen plan on a GPU, made once for all layers.
#pragma once

#include "dmoerm/ops/varlen_plan.h"

namespace dmoerm::ops {

struct CudaSequences {
  Tensor cu_q, cu_k;  // [sequences + 1] int32
  int64_t max_q = 0, max_k = 0;
};

// As VarlenPlan; the lists are int32 tensors.
struct CudaVarlenPlan {
  CudaSequences causal, parent;
  Tensor child_queries;
  struct {
    Tensor row_of, rows, offsets, sources;
  } copies;
};

// The plan on `device`; null when some queries are not the last rows of their segment. Layers follow each
// other with the same segments, so each thread keeps the plans of the segments it saw last.
std::shared_ptr<const CudaVarlenPlan> cuda_varlen_plan(const GroupAttentionOptions& options, KeyLayout layout,
                                                       int64_t window, torch::Device device);

}  // namespace dmoerm::ops
