// Group attention on CUDA against the reference in float64 on the CPU, which sees the same (rounded) inputs.
#include "dmoerm/ops/group_attention.h"

#include <c10/cuda/CUDAFunctions.h>

#include <limits>

#include "tests/ops/testing.h"

namespace dmoerm::ops {
namespace {

using Trees = std::vector<std::vector<int32_t>>;

enum class Queries { All, Last, Suffix, Any };

struct AttentionCase {
  std::string name;
  Trees trees;
  int64_t heads = 4, groups = 2, channels = 64, value_channels = 64, window = 0;
  Queries queries = Queries::All;
};

void PrintTo(const AttentionCase& c, std::ostream* out) {
  *out << c.name;
}

struct AttentionInputs {
  std::vector<Tensor> qkv;  // on the GPU
  GroupAttentionOptions options;
};

std::vector<int64_t> choose_queries(const data::SegmentTable& table, Queries queries) {
  std::vector<int64_t> rows;
  if (queries == Queries::All) return rows;
  for (size_t s = 0; s < table.segments.size(); ++s) {
    const data::Segment& segment = table.segments[s];
    const bool has_children =
        s + 1 < table.segments.size() && table.segments[s + 1].parent == static_cast<int>(s);
    const int64_t end = segment.begin + segment.length;
    int64_t first = end - 1;
    if (queries == Queries::Last && has_children) first = end;
    if (queries == Queries::Suffix) first = end - (s % 3) * segment.length / 2;
    for (int64_t row = first; row < end; ++row) rows.push_back(row);
    if (queries == Queries::Any && segment.length > 2) rows.insert(rows.end() - 1, segment.begin);
  }
  return rows;
}

AttentionInputs attention_inputs(const AttentionCase& c, torch::ScalarType type) {
  torch::manual_seed(7);
  AttentionInputs inputs;
  inputs.options.segments = make_table(c.trees);
  inputs.options.scale = 1 / std::sqrt(static_cast<double>(c.channels));
  inputs.options.window = c.window;
  inputs.options.query_rows = choose_queries(*inputs.options.segments, c.queries);
  const int64_t rows = inputs.options.segments->num_rows;
  const int64_t queries =
      c.queries == Queries::All ? rows : static_cast<int64_t>(inputs.options.query_rows.size());
  inputs.qkv = {torch::randn({queries, c.heads, c.channels}) * 2,
                torch::randn({rows, c.groups, c.channels}) * 2,
                torch::randn({rows, c.groups, c.value_channels})};
  for (Tensor& x : inputs.qkv) x = x.to(type).to(torch::kCUDA);
  return inputs;
}

Tensor attend(const std::vector<Tensor>& qkv, const GroupAttentionOptions& options) {
  return group_attention(qkv[0], qkv[1], qkv[2], options);
}

// Output and gradients of q, k, v, on the CPU.
std::vector<Tensor> run_attention(const std::vector<Tensor>& qkv, const Tensor& direction, bool reference,
                                  const GroupAttentionOptions& options) {
  const std::vector<Tensor> leaves = as_leaves(qkv);
  const Tensor out = reference ? group_attention_reference(leaves[0], leaves[1], leaves[2], options)
                               : attend(leaves, options);
  std::vector<Tensor> results = {out.detach()};
  for (const Tensor& gradient : gradients(out, direction, leaves)) results.push_back(gradient);
  for (Tensor& x : results) x = x.cpu();
  return results;
}

void expect_close(const AttentionInputs& inputs, double tolerance) {
  const Tensor& q = inputs.qkv[0];
  const Tensor direction = torch::randn({q.size(0), q.size(1), inputs.qkv[2].size(2)}).to(q);
  std::vector<Tensor> exact;
  for (const Tensor& x : inputs.qkv) exact.push_back(x.cpu().to(torch::kFloat64));
  const auto expected = run_attention(exact, direction.cpu().to(torch::kFloat64), true, inputs.options);
  const auto actual = run_attention(inputs.qkv, direction, false, inputs.options);
  const char* const names[] = {"output", "gradient of q", "gradient of k", "gradient of v"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(actual[i].scalar_type(), q.scalar_type());
    EXPECT_LT(relative_error(actual[i], expected[i]), tolerance) << names[i];
  }
}

std::vector<int32_t> best_of(int32_t prompt, int32_t answers, int32_t length) {
  std::vector<int32_t> tree(answers + 1, length);
  tree[0] = prompt;
  return tree;
}

const Trees kMixed = {{5}, {1, 1, 1}, {130, 1, 64, 3}, {129}, {16, 300}, {2, 2, 2, 2}, {7}, {9}};
const Trees kPair = {{140, 30, 9}, {9, 5}};
const Trees kLong = {{170, 150, 30}, {9, 5}, {300}, {64, 64, 1}};

const std::vector<AttentionCase> kAttentionCases = {
    {"one_token", {{1}}},
    {"one_sequence", {{300}}},
    {"roots_only", {{3}, {130}, {1}, {257}}},
    {"one_tree", {{37, 20, 9}}},
    {"tiny_tree", {{1, 1}}},
    {"mixed", kMixed},
    {"best_of_64", {best_of(100, 64, 17)}},
    {"best_of_64_single_tokens", {best_of(33, 64, 1), {4}}},
    {"many_queries_of_a_prompt", {best_of(130, 20, 230), {4, 3}}},  // more than 2048: cut
    {"heads_equal", kMixed, 3, 3},
    {"heads_4_to_1", kMixed, 8, 2},
    {"heads_8_to_1", kMixed, 8, 1},
    {"one_group", kMixed, 5, 1},
    {"channels_16", kPair, 4, 2, 16, 16},
    {"channels_20", kPair, 4, 2, 20, 20},
    {"channels_80", kPair, 4, 2, 80, 80},
    {"channels_128", kMixed, 4, 2, 128, 128},
    {"channels_192_128", kMixed, 4, 4, 192, 128},
    {"channels_24_12", kPair, 4, 2, 24, 12},
    {"channels_12_24", kPair, 4, 2, 12, 24},
    {"channels_256", kMixed, 4, 2, 256, 256},
    {"channels_264", kPair, 4, 2, 264, 264},
    {"window_1", kPair, 4, 2, 64, 64, 1},
    {"window_8", kMixed, 4, 2, 64, 64, 8},
    {"window_in_segments", {{300}, {40}, {129}}, 4, 2, 64, 64, 33},
    {"window_over_parents", kLong, 4, 2, 64, 64, 160},
    {"window_longer_than_all", kLong, 4, 2, 64, 64, 1000},
    {"window_of_the_longest", kLong, 4, 2, 64, 64, 320},
    {"window_one_less", kLong, 4, 2, 64, 64, 319},
    {"last", kMixed, 4, 2, 64, 64, 0, Queries::Last},
    {"last_heads_8_to_1", kMixed, 8, 1, 128, 128, 0, Queries::Last},
    {"last_best_of_64", {best_of(100, 64, 17)}, 8, 2, 128, 128, 0, Queries::Last},
    {"last_window", kLong, 4, 2, 64, 64, 70, Queries::Last},
    {"last_window_roots", {{300}, {40}}, 4, 2, 64, 64, 70, Queries::Last},
    {"last_padded", kMixed, 4, 4, 20, 12, 0, Queries::Last},
    {"suffix", kLong, 4, 2, 64, 64, 0, Queries::Suffix},
    {"suffix_window", kLong, 4, 2, 64, 64, 100, Queries::Suffix},
    {"any", kLong, 4, 2, 64, 64, 0, Queries::Any},
};

class CudaGroupAttention : public testing::Test {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU";
  }
};

class CudaGroupAttentionShapes : public CudaGroupAttention,
                                 public testing::WithParamInterface<AttentionCase> {};
INSTANTIATE_TEST_SUITE_P(Shapes, CudaGroupAttentionShapes, testing::ValuesIn(kAttentionCases),
                         [](const auto& info) { return info.param.name; });

TEST_P(CudaGroupAttentionShapes, Float32EqualsReference) {
  expect_close(attention_inputs(GetParam(), torch::kFloat32), 1e-5);
}
TEST_P(CudaGroupAttentionShapes, BFloat16EqualsReference) {
  expect_close(attention_inputs(GetParam(), torch::kBFloat16), 2e-2);
}
TEST_P(CudaGroupAttentionShapes, Float16EqualsReference) {
  expect_close(attention_inputs(GetParam(), torch::kFloat16), 3e-3);
}

// Five of forty cases each: under compute-sanitizer all at once take too long.
class CudaGroupAttentionTables : public CudaGroupAttention, public testing::WithParamInterface<int> {};

TEST_P(CudaGroupAttentionTables, RandomTablesEqualReference) {
  std::mt19937_64 random(5);
  const auto draw = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % (high - low + 1));
  };
  for (int i = 0; i < 5 * GetParam() + 5; ++i) {
    AttentionCase c;
    c.trees.resize(draw(1, 8));
    for (auto& tree : c.trees) {
      tree.resize(1 + std::max<int64_t>(0, draw(-2, 6)));
      for (int32_t& length : tree) length = static_cast<int32_t>(draw(0, 3) == 0 ? draw(1, 3) : draw(1, 200));
    }
    c.groups = draw(1, 3);
    c.heads = c.groups * draw(1, 4);
    c.channels = c.value_channels = std::vector<int64_t>{32, 64, 96, 128}[draw(0, 3)];
    c.window = draw(0, 2) == 0 ? draw(1, 250) : 0;
    c.queries = std::vector{Queries::All, Queries::All, Queries::Last, Queries::Suffix}[draw(0, 3)];
    if (i < 5 * GetParam()) continue;
    SCOPED_TRACE(i);
    expect_close(attention_inputs(c, torch::kBFloat16), 2e-2);
    expect_close(attention_inputs(c, torch::kFloat32), 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, CudaGroupAttentionTables, testing::Range(0, 8));

TEST_F(CudaGroupAttention, BestOf64WithLongPromptEqualsReference) {
  const AttentionCase c = {"", {best_of(512, 64, 128)}, 4, 2, 64, 64};
  expect_close(attention_inputs(c, torch::kBFloat16), 2e-2);
  expect_close(attention_inputs(c, torch::kFloat32), 1e-5);
}

TEST_F(CudaGroupAttention, TakesNoRows) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    const Tensor none = torch::zeros({0, 4, 64}, torch::dtype(type).device(torch::kCUDA));
    const Tensor out = attend({none, none, none}, {.segments = make_table({})});
    EXPECT_EQ(out.sizes(), none.sizes());
    EXPECT_TRUE(out.is_cuda());
  }
}

TEST_F(CudaGroupAttention, SameInputsGiveTheSameBits) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    const AttentionInputs inputs = attention_inputs({"", kMixed, 8, 2, 128, 128}, type);
    const Tensor first = attend(inputs.qkv, inputs.options);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(torch::equal(first, attend(inputs.qkv, inputs.options))) << i;
  }
}

// With and without gradients, and views of one fused tensor, as the decoder has them.
TEST_F(CudaGroupAttention, TakesViews) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    const AttentionInputs inputs = attention_inputs({"", kPair, 4, 4, 64, 64}, type);
    Tensor fused_THNC = torch::stack(inputs.qkv, 2).set_requires_grad(true);
    const auto view = [&](int64_t i) { return fused_THNC.select(2, i); };
    const Tensor out = group_attention(view(0), view(1), view(2), inputs.options);
    EXPECT_TRUE(torch::equal(out.detach(), attend(inputs.qkv, inputs.options)));
    const Tensor direction = torch::randn_like(out);
    const auto expected = run_attention(inputs.qkv, direction, false, inputs.options);
    const Tensor grad = torch::autograd::grad({out}, {fused_THNC}, {direction})[0].cpu();
    for (int i = 0; i < 3; ++i)
      EXPECT_LT(relative_error(grad.select(2, i), expected[i + 1]), 1e-2) << "qkv"[i];
  }
}

// Sequences share blocks of the kernels' memory, but never numbers.
TEST_F(CudaGroupAttention, NanStaysInItsTree) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto type : {torch::kFloat32, torch::kBFloat16})
    for (const int64_t window : {0, 12}) {
      SCOPED_TRACE(std::string(toString(type)) + ", window " + std::to_string(window));
      AttentionInputs inputs =
          attention_inputs({"", {{20, 5}, {20, 5, 6}, {9}, {4, 3}}, 4, 2, 64, 64, window}, type);
      const Tensor direction = torch::ones_like(inputs.qkv[0]);
      const auto clean = run_attention(inputs.qkv, direction, false, inputs.options);
      for (int bad = 0; bad < 3; ++bad) {
        std::vector<Tensor> qkv = inputs.qkv;
        qkv[bad] = qkv[bad].clone();
        qkv[bad][47] = nan;  // the third token of the second tree's first child, which ends at 50
        const auto dirty = run_attention(qkv, direction, false, inputs.options);
        EXPECT_TRUE(dirty[0][47].isnan().all().item<bool>()) << "hidden: "
                                                             << "qkv"[bad];
        for (int i = 0; i < 4; ++i)
          for (const auto& [begin, end] : {std::pair(0, 25), std::pair(56, 72)})
            EXPECT_LT(relative_error(dirty[i].slice(0, begin, end), clean[i].slice(0, begin, end)), 1e-2)
                << "qkv"[bad] << " reached result " << i << " in rows from " << begin;
        EXPECT_TRUE(dirty[0].slice(0, 50, 56).isfinite().all().item<bool>()) << "another child: "
                                                                             << "qkv"[bad];
      }
    }
}

TEST_F(CudaGroupAttention, LargeScoresNeitherOverflowNorVanish) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    AttentionInputs inputs = attention_inputs({"", {{140, 30, 8}}}, type);
    for (int i = 0; i < 2; ++i) inputs.qkv[i] = inputs.qkv[i] * 64;
    const Tensor out = attend(inputs.qkv, inputs.options).cpu();
    const Tensor expected = group_attention_reference(
        inputs.qkv[0].cpu().to(torch::kFloat64), inputs.qkv[1].cpu().to(torch::kFloat64),
        inputs.qkv[2].cpu().to(torch::kFloat64), inputs.options);
    EXPECT_LT(relative_error(out, expected), 2e-2) << toString(type);
  }
}

// A wait in every layer would leave the GPU idle between its kernels.
TEST_F(CudaGroupAttention, NeverWaitsForTheGpu) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16})
    for (const int64_t window : {0, 50}) {
      if (type == torch::kFloat32 && window > 0) continue;  // the reference waits
      SCOPED_TRACE(std::string(toString(type)) + ", window " + std::to_string(window));
      const AttentionInputs inputs = attention_inputs({"", kLong, 4, 2, 64, 64, window}, type);
      const std::vector<Tensor> leaves = as_leaves(inputs.qkv);
      const Tensor direction = torch::ones_like(inputs.qkv[0]);
      c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR);
      EXPECT_NO_THROW(gradients(attend(leaves, inputs.options), direction, leaves));
      c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED);
    }
}

// Plans are kept from call to call; another batch, other queries or another window must not find the old
// ones.
TEST_F(CudaGroupAttention, KeptPlansAreNotMixedUp) {
  const AttentionInputs all = attention_inputs({"", kLong}, torch::kBFloat16);
  for (int round = 0; round < 2; ++round)
    for (const int64_t window : {0, 100, 40}) {
      SCOPED_TRACE("window " + std::to_string(window));
      AttentionInputs inputs = all;
      inputs.options.window = window;
      expect_close(inputs, 2e-2);
      inputs.options.query_rows = {319, 349};
      inputs.qkv[0] = inputs.qkv[0].narrow(0, 0, 2);
      expect_close(inputs, 2e-2);
      expect_close(attention_inputs({"", kPair}, torch::kBFloat16), 2e-2);
    }
}

}  // namespace
}  // namespace dmoerm::ops
