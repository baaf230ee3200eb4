#include "dmoerm/nn/moe_config.h"

#include <cmath>

#include "dmoerm/core/error.h"

namespace dmoerm::nn {
namespace {

void validate_router(const RouterConfig& router, std::string_view where) {
  if (router.num_experts < 1 || router.num_experts > 1 << 16)
    fail(where, "number of experts is {}, expected 1 to {}", router.num_experts, 1 << 16);
  if (router.top_k < 1 || router.top_k > router.num_experts)
    fail(where, "experts per token is {}, expected 1 to {}", router.top_k, router.num_experts);
  if (!std::isfinite(router.scale))
    fail(where, "scale of the expert weights is {}, expected a finite number", router.scale);
  if (router.num_groups < 1 || router.num_experts % router.num_groups != 0)
    fail(where, "{} experts cannot be cut into {} equal groups", router.num_experts, router.num_groups);
  const int64_t group_size = router.num_experts / router.num_groups;
  if (router.top_groups < 1 || router.top_groups > router.num_groups)
    fail(where, "a token takes experts of {} groups, expected 1 to {}", router.top_groups, router.num_groups);
  if (router.top_k > router.top_groups * group_size)
    fail(where, "{} experts per token do not fit into {} groups of {} experts", router.top_k,
         router.top_groups, group_size);
  if (router.top_groups < router.num_groups && router.group_best > group_size)
    fail(where, "the best {} scores of a group make its score, but a group has {} experts", router.group_best,
         group_size);
}

}  // namespace

void MoeConfig::validate(int64_t num_layers, std::string_view where) const {
  constexpr int64_t kLargest = 1 << 22;
  validate_router(router, where);
  constexpr int64_t kMostExperts = 1 << 18;
  if (num_layers * router.num_experts > kMostExperts)
    fail(where, "{} layers of {} experts are more than {} experts", num_layers, router.num_experts,
         kMostExperts);
  if (intermediate_size < 1 || intermediate_size > kLargest)
    fail(where, "intermediate size of an expert is {}, expected 1 to {}", intermediate_size, kLargest);
  if (shared_intermediate_size < 0 || shared_intermediate_size > kLargest)
    fail(where, "intermediate size of the shared expert is {}, expected 0 to {}", shared_intermediate_size,
         kLargest);
  if (!sparse_layers.empty() && static_cast<int64_t>(sparse_layers.size()) != num_layers)
    fail(where, "sparse layers are given for {} layers, the model has {}", sparse_layers.size(), num_layers);
}

}  // namespace dmoerm::nn
