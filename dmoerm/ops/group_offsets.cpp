#include "dmoerm/ops/group_offsets.h"

#include <utility>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"

namespace dmoerm::ops {

GroupOffsets::GroupOffsets(std::vector<int64_t> offsets)
    : places_(std::make_shared<Places>(Places{std::move(offsets), {}})) {
  DMOERM_ASSERT(!places_->host.empty() && places_->host.front() == 0);
}

GroupOffsets::GroupOffsets(Tensor end_E) : places_(std::make_shared<Places>(Places{{}, std::move(end_E)})) {
  DMOERM_ASSERT(places_->end_E.dim() == 1 && places_->end_E.scalar_type() == torch::kInt32);
}

int64_t GroupOffsets::num_groups() const {
  return places_->end_E.defined() ? places_->end_E.size(0) : static_cast<int64_t>(places_->host.size()) - 1;
}

const std::vector<int64_t>& GroupOffsets::host() const {
  std::vector<int64_t>& offsets = places_->host;
  if (offsets.empty()) {
    const Tensor end_E = places_->end_E.cpu();
    offsets.push_back(0);
    offsets.insert(offsets.end(), end_E.data_ptr<int32_t>(), end_E.data_ptr<int32_t>() + end_E.numel());
  }
  return offsets;
}

const Tensor& GroupOffsets::end_E(torch::Device device) const {
  Tensor& end_E = places_->end_E;
  if (!end_E.defined()) {
    const std::vector<int32_t> ends(places_->host.begin() + 1, places_->host.end());
    end_E = copy_to_device(ends, device);
  }
  DMOERM_ASSERT(end_E.device() == device);
  return end_E;
}

GroupOffsets GroupOffsets::joined(int64_t groups, int64_t size) const {
  DMOERM_ASSERT(size > 0 && groups % size == 0 && groups <= num_groups());
  if (size == 1 && groups == num_groups()) return *this;
  if (places_->host.empty())
    return GroupOffsets(
        places_->end_E.narrow(0, 0, groups).view({-1, size}).select(1, size - 1).contiguous());
  std::vector<int64_t> offsets;
  for (int64_t group = 0; group <= groups; group += size) offsets.push_back(places_->host[group]);
  return offsets;
}

}  // namespace dmoerm::ops
