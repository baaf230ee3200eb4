#include "dmoerm/ops/varlen_plan_cuda.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

namespace dmoerm::ops {
namespace {

// All lists in one pinned buffer: one copy that the host does not wait for.
class Upload {
 public:
  void add(const std::vector<int32_t>& list, Tensor& tensor) { parts_.push_back({&list, &tensor}); }

  void run(torch::Device device) const {
    int64_t size = 0;
    for (const Part& part : parts_) size += static_cast<int64_t>(part.list->size());
    const Tensor host = at::empty({size}, at::TensorOptions(at::kInt).pinned_memory(true));
    int32_t* next = host.data_ptr<int32_t>();
    for (const Part& part : parts_) next = std::ranges::copy(*part.list, next).out;
    const Tensor all = host.to(device, /*non_blocking=*/true);
    int64_t begin = 0;
    for (const Part& part : parts_) {
      const auto length = static_cast<int64_t>(part.list->size());
      *part.tensor = all.narrow(0, begin, length);
      begin += length;
    }
  }

 private:
  struct Part {
    const std::vector<int32_t>* list;
    Tensor* tensor;
  };
  std::vector<Part> parts_;
};

std::shared_ptr<const CudaVarlenPlan> upload(const VarlenPlan& plan, torch::Device device) {
  auto result = std::make_shared<CudaVarlenPlan>();
  Upload upload;
  const auto add_sequences = [&](const VarlenSequences& from, CudaSequences& to) {
    upload.add(from.cu_q, to.cu_q);
    upload.add(from.cu_k, to.cu_k);
    to.max_q = from.max_q;
    to.max_k = from.max_k;
  };
  add_sequences(plan.causal, result->causal);
  add_sequences(plan.parent, result->parent);
  upload.add(plan.child_queries, result->child_queries);
  upload.add(plan.copies.row_of, result->copies.row_of);
  upload.add(plan.copies.rows, result->copies.rows);
  upload.add(plan.copies.offsets, result->copies.offsets);
  upload.add(plan.copies.sources, result->copies.sources);
  upload.run(device);
  return result;
}

// Plans of one segment table: layers differ in their window, and the last one in its queries.
struct Cache {
  struct Entry {
    std::vector<int64_t> query_rows;
    KeyLayout layout;
    int64_t window;
    c10::cuda::CUDAStream stream;  // the copy is only in order with what runs on the same stream
    std::shared_ptr<const CudaVarlenPlan> plan;
  };
  // Weak: no batch lives longer for it, and no new table can be taken for an old one at the same address.
  std::weak_ptr<const data::SegmentTable> segments;
  std::vector<Entry> entries;
};

}  // namespace

std::shared_ptr<const CudaVarlenPlan> cuda_varlen_plan(const GroupAttentionOptions& options, KeyLayout layout,
                                                       int64_t window, torch::Device device) {
  thread_local Cache cache;
  if (cache.segments.lock() != options.segments) cache = {options.segments, {}};
  const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream(device.index());
  for (const Cache::Entry& entry : cache.entries)
    if (entry.layout == layout && entry.window == window && entry.stream == stream &&
        entry.query_rows == options.query_rows)
      return entry.plan;
  const std::optional<VarlenPlan> plan = plan_varlen(*options.segments, options.query_rows, layout, window);
  cache.entries.push_back(
      {options.query_rows, layout, window, stream, plan ? upload(*plan, device) : nullptr});
  return cache.entries.back().plan;
}

}  // namespace dmoerm::ops
