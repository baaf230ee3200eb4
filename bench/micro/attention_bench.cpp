// Group attention, blocked kernel and plain form: pairs, and best of 64 with a prompt four times as long as
// the answers. FLOP/s counts the visible (query, key) pairs only. With a GPU also best of 64 there in
// bfloat16, the prompt shared, and every sequence whole, which is one plain call of flash attention.
#include "dmoerm/ops/group_attention.h"
#include "measure.h"

namespace dmoerm::bench {
namespace {

struct Shape {
  int64_t heads = 8, groups = 2, channels = 64;
  torch::TensorOptions tensor = torch::kFloat32;
};

std::shared_ptr<data::SegmentTable> trees(int count, int32_t prompt, int answers, int32_t length) {
  auto table = std::make_shared<data::SegmentTable>();
  const auto add = [&](int32_t rows, int32_t parent) {
    table->segments.push_back({static_cast<int32_t>(table->num_rows), rows, parent});
    table->num_rows += rows;
    return static_cast<int32_t>(table->segments.size() - 1);
  };
  for (int i = 0; i < count; ++i) {
    const int32_t root = add(prompt, -1);
    table->roots.push_back(root);
    for (int answer = 0; answer < answers; ++answer) add(length, root);
  }
  return table;
}

double visible_pairs(const data::SegmentTable& table) {
  double pairs = 0;
  for (const data::Segment& segment : table.segments)
    pairs += segment.length * (table.position_of(segment) + (segment.length + 1) / 2.0);
  return pairs;
}

using Attention = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, const ops::GroupAttentionOptions&);

void run(benchmark::State& state, Attention attention, std::shared_ptr<data::SegmentTable> table,
         bool backward, const Shape& shape = {}) {
  const double pairs = visible_pairs(*table);
  const int64_t rows = table->num_rows;
  const auto leaf = [&](int64_t heads) {
    return torch::randn({rows, heads, shape.channels}, shape.tensor).set_requires_grad(true);
  };
  const std::vector<Tensor> inputs = {leaf(shape.heads), leaf(shape.groups), leaf(shape.groups)};
  const ops::GroupAttentionOptions options = {.segments = table, .scale = 0.125};
  measure(state, inputs, backward, [&] { return attention(inputs[0], inputs[1], inputs[2], options); });
  state.counters["FLOP/s"] = rate(pairs * shape.heads * shape.channels * 4 * (backward ? 3.5 : 1));
}

void pairs(benchmark::State& state, Attention attention, bool backward) {
  run(state, attention, trees(8, 220, 2, 160), backward);
}
void best_of_64(benchmark::State& state, Attention attention, bool backward) {
  run(state, attention, trees(1, 512, 64, 128), backward);
}

BENCHMARK_CAPTURE(pairs, kernel, ops::group_attention, false)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(pairs, plain, ops::group_attention_reference, false)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(pairs, kernel_train, ops::group_attention, true)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(pairs, plain_train, ops::group_attention_reference, true)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(best_of_64, kernel, ops::group_attention, false)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(best_of_64, plain, ops::group_attention_reference, false)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(best_of_64, kernel_train, ops::group_attention, true)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(best_of_64, plain_train, ops::group_attention_reference, true)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void register_cuda() {
  const Shape shape = {16, 16, 128, torch::dtype(torch::kBFloat16).device(torch::kCUDA)};
  const auto add = [&](const char* name, std::shared_ptr<data::SegmentTable> table, bool backward) {
    benchmark::RegisterBenchmark(
        name, [=](benchmark::State& state) { run(state, ops::group_attention, table, backward, shape); })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  };
  const auto shared = trees(1, 512, 64, 128), whole = trees(64, 640, 0, 0);
  add("best_of_64/cuda", shared, false);
  add("best_of_64/cuda_unshared", whole, false);
  add("best_of_64/cuda_train", shared, true);
  add("best_of_64/cuda_unshared_train", whole, true);
}

const bool cuda_registered = torch::cuda::is_available() && (register_cuda(), true);

}  // namespace
}  // namespace dmoerm::bench
