// Where the rows of each group begin and end among sorted rows.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

// Rows of group e are [offsets[e], offsets[e + 1]), from 0 to N. Known on the host, on a GPU, or on both:
// what is asked for where it is not known yet is copied once. Copies share it.
class GroupOffsets {
 public:
  GroupOffsets(std::vector<int64_t> offsets);  // [E + 1]
  explicit GroupOffsets(Tensor end_E);         // int32, the end of each group

  int64_t num_groups() const;
  // [E + 1]; waits for the GPU where only the GPU knows them.
  const std::vector<int64_t>& host() const;
  const Tensor& end_E(torch::Device device) const;
  // The first `groups` groups, `size` at a time as one; `groups` is a multiple of it.
  GroupOffsets joined(int64_t groups, int64_t size) const;

 private:
  struct Places {
    std::vector<int64_t> host;  // empty: not known
    Tensor end_E;               // undefined: not known
  };
  std::shared_ptr<Places> places_;
};

}  // namespace dmoerm::ops
