#include "dmoerm/ops/group_attention_cpu.h"

#include <atomic>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/attention_plan.h"

namespace dmoerm::ops {
namespace {

int64_t round_up(int64_t count, int64_t width) {
  return (count + width - 1) / width * width;
}

Tensor floats(std::initializer_list<int64_t> shape) {
  return torch::empty(shape, torch::kFloat32);
}

// run(task, thread) for every task; threads take the next one as they finish, so uneven tasks stay balanced.
template <typename Run>
void run_tasks(int64_t count, Run run) {
  std::atomic<int64_t> next = 0;
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t thread = begin; thread < end; ++thread) {
      for (int64_t task = next++; task < count; task = next++) run(task, thread);
    }
  });
}

// Keys and values copied into the layouts that the kernels read.
struct PackedKeys {
  Tensor rows;     // [G, T, ~C]
  Tensor columns;  // [G, columns * C]
};

PackedKeys pack_keys(const Tensor& x_TGC, const AttentionPlan& plan, bool with_rows, bool with_columns,
                     const CpuKernels& kernels) {
  const int64_t rows = x_TGC.size(0), groups = x_TGC.size(1), channels = x_TGC.size(2);
  const int64_t padded = round_up(channels, kernels.width), stride = groups * channels;
  PackedKeys packed;
  if (with_rows) packed.rows = floats({groups, rows, padded});
  if (with_columns) packed.columns = floats({groups, plan.columns * channels});
  const float* x = x_TGC.data_ptr<float>();
  float* to_rows = with_rows ? packed.rows.data_ptr<float>() : nullptr;
  float* to_columns = with_columns ? packed.columns.data_ptr<float>() : nullptr;
  const auto num_blocks = static_cast<int64_t>(plan.blocks.size());
  at::parallel_for(0, num_blocks * groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const KeyBlock& block = plan.blocks[i % num_blocks];
      const int64_t g = i / num_blocks;
      const float* src = x + block.row * stride + g * channels;
      if (to_rows)
        kernels.pack_rows(src, stride, block.count, channels, padded,
                          to_rows + (g * rows + block.row) * padded);
      if (to_columns)
        kernels.pack_columns(src, stride, block.count, channels, block.padded,
                             to_columns + (g * plan.columns + block.column) * channels);
    }
  });
  return packed;
}

AttentionProblem describe(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                          const GroupAttentionOptions& options, const AttentionPlan& plan, int64_t width) {
  AttentionProblem p = {};
  p.rows = k_TGC.size(0);
  p.heads = q_QHC.size(1);
  p.groups = k_TGC.size(1);
  p.channels = k_TGC.size(2);
  p.value_channels = v_TGV.size(2);
  p.padded_channels = round_up(p.channels, width);
  p.padded_value_channels = round_up(p.value_channels, width);
  p.columns = plan.columns;
  p.scale = static_cast<float>(options.scale);
  p.window = options.window;
  p.positions = plan.positions.data();
  p.blocks = plan.blocks.data();
  p.block_offsets = plan.block_offsets.data();
  p.parents = plan.parents.data();
  p.q = q_QHC.data_ptr<float>();
  return p;
}

Tensor scratch_for(const AttentionProblem& p, const AttentionPlan& plan) {
  return floats(
      {at::get_num_threads(), round_up(attention_scratch(p, plan.max_queries * p.heads_per_group()), 16)});
}

// [G, T, ~C] -> [T, G, C]
Tensor unpack(const Tensor& rows_GTC, int64_t channels) {
  return rows_GTC.narrow(2, 0, channels).transpose(0, 1).contiguous();
}

}  // namespace

AttentionForward attention_forward_cpu(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                                       const GroupAttentionOptions& options, bool with_lse,
                                       const CpuKernels& kernels) {
  const AttentionPlan plan = plan_attention(options, q_QHC.size(1) / k_TGC.size(1), kernels.width);
  AttentionProblem p = describe(q_QHC, k_TGC, v_TGV, options, plan, kernels.width);
  const PackedKeys keys = pack_keys(k_TGC, plan, false, true, kernels),
                   values = pack_keys(v_TGV, plan, true, false, kernels);
  p.keys_columns = keys.columns.data_ptr<float>();
  p.values_rows = values.rows.data_ptr<float>();
  AttentionForward result;
  result.out_QHV = floats({q_QHC.size(0), p.heads, p.value_channels});
  p.out = result.out_QHV.data_ptr<float>();
  if (with_lse) {
    result.lse_QH = floats({q_QHC.size(0), p.heads});
    p.lse = result.lse_QH.data_ptr<float>();
  }
  const Tensor scratch = scratch_for(p, plan);
  float* const scratch_data = scratch.data_ptr<float>();
  const int64_t scratch_size = scratch.size(1);
  run_tasks(static_cast<int64_t>(plan.tasks.size()) * p.groups, [&](int64_t i, int64_t thread) {
    QueryTask task = plan.tasks[i / p.groups];
    task.group = i % p.groups;
    kernels.attention_forward(p, task, scratch_data + thread * scratch_size);
  });
  return result;
}

AttentionGradients attention_backward_cpu(const Tensor& grad_QHV, const Tensor& q_QHC, const Tensor& k_TGC,
                                          const Tensor& v_TGV, const AttentionForward& forward,
                                          const GroupAttentionOptions& options, const CpuKernels& kernels) {
  const AttentionPlan plan = plan_attention(options, q_QHC.size(1) / k_TGC.size(1), kernels.width);
  AttentionProblem p = describe(q_QHC, k_TGC, v_TGV, options, plan, kernels.width);
  const PackedKeys keys = pack_keys(k_TGC, plan, true, true, kernels),
                   values = pack_keys(v_TGV, plan, false, true, kernels);
  p.keys_columns = keys.columns.data_ptr<float>();
  p.keys_rows = keys.rows.data_ptr<float>();
  p.values_columns = values.columns.data_ptr<float>();
  p.out = forward.out_QHV.data_ptr<float>();
  p.lse = forward.lse_QH.data_ptr<float>();
  p.grad_out = grad_QHV.data_ptr<float>();
  const Tensor grad_q = torch::empty_like(q_QHC);
  const Tensor grad_k = torch::zeros({p.groups, p.rows, p.padded_channels}, torch::kFloat32);
  const Tensor grad_v = torch::zeros({p.groups, p.rows, p.padded_value_channels}, torch::kFloat32);
  p.grad_q = grad_q.data_ptr<float>();
  p.grad_keys_rows = grad_k.data_ptr<float>();
  p.grad_values_rows = grad_v.data_ptr<float>();
  const Tensor scratch = scratch_for(p, plan);
  float* const scratch_data = scratch.data_ptr<float>();
  const int64_t scratch_size = scratch.size(1);
  // Children add to their parent's gradients: a tree's tasks for one group stay on one thread, in order.
  const int64_t num_trees = static_cast<int64_t>(plan.tree_offsets.size()) - 1;
  run_tasks(num_trees * p.groups, [&](int64_t i, int64_t thread) {
    const int64_t tree = i / p.groups;
    for (int64_t t = plan.tree_offsets[tree]; t < plan.tree_offsets[tree + 1]; ++t) {
      QueryTask task = plan.tasks[t];
      task.group = i % p.groups;
      kernels.attention_backward(p, task, scratch_data + thread * scratch_size);
    }
  });
  return {grad_q, unpack(grad_k, p.channels), unpack(grad_v, p.value_channels)};
}

}  // namespace dmoerm::ops
