#include "dmoerm/ops/group_attention.h"

namespace dmoerm::ops {

Tensor group_attention(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGC,
                       const GroupAttentionOptions& options) {
  return group_attention_reference(q_QHC, k_TGC, v_TGC, options);
}

}  // namespace dmoerm::ops
