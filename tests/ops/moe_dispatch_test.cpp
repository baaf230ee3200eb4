// Dispatch plans against plain loops, and the way there and back against plain operations.
#include "dmoerm/ops/moe_dispatch.h"

#include <array>
#include <set>

#include "testing.h"

namespace dmoerm::ops {
namespace {

// Every row takes k different experts.
Tensor random_choice(int64_t num_rows, int64_t top_k, int64_t num_experts) {
  torch::manual_seed(num_rows + 31 * top_k);
  return std::get<1>(torch::rand({num_rows, num_experts}).topk(top_k, 1));
}

// The row that each sorted row comes from.
std::vector<int64_t> sorted_rows(const Dispatch& plan) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < plan.place_N.size(0); ++i)
    rows.push_back(plan.place_N[i].item<int64_t>() / plan.slot_Tk.size(1));
  return rows;
}

int64_t num_dropped(const Dispatch& plan) {
  return (plan.slot_Tk < 0).sum().item<int64_t>();
}

void expect_consistent(const Dispatch& plan, const Tensor& expert_Tk, int64_t num_experts) {
  const int64_t top_k = expert_Tk.size(1);
  const std::vector<int64_t>& offsets = plan.offsets.host();
  const std::vector<int64_t> rows = sorted_rows(plan);
  ASSERT_EQ(plan.offsets.num_groups(), num_experts);
  ASSERT_EQ(static_cast<int64_t>(offsets.size()), num_experts + 1);
  ASSERT_EQ(offsets.back(), static_cast<int64_t>(rows.size()));
  for (int64_t e = 0; e < num_experts; ++e)
    for (int64_t i = offsets[e]; i < offsets[e + 1]; ++i) {
      const int64_t place = plan.place_N[i].item<int64_t>();
      EXPECT_EQ(place / top_k, rows[i]);
      EXPECT_EQ(expert_Tk.flatten()[place].item<int64_t>(), e);
      EXPECT_EQ(plan.slot_Tk.flatten()[place].item<int64_t>(), i);
      if (i > offsets[e]) {
        EXPECT_LT(rows[i - 1], rows[i]);
      }
    }
  EXPECT_EQ((plan.slot_Tk >= 0).sum().item<int64_t>(), offsets.back());
}

TEST(Dispatch, EveryRowIsThereExactlyKTimes) {
  const std::vector<std::array<int64_t, 3>> shapes = {{50, 3, 8}, {1, 1, 1}, {1, 4, 4}, {7, 2, 64}};
  for (const auto& [rows, top_k, experts] : shapes) {
    const Tensor expert_Tk = random_choice(rows, top_k, experts);
    const Dispatch plan = dispatch(expert_Tk, experts);
    expect_consistent(plan, expert_Tk, experts);
    EXPECT_EQ(num_dropped(plan), 0);
    const std::vector<int64_t> sorted = sorted_rows(plan);
    const std::multiset<int64_t> seen(sorted.begin(), sorted.end());
    for (int64_t row = 0; row < rows; ++row) EXPECT_EQ(static_cast<int64_t>(seen.count(row)), top_k);
  }
}

TEST(Dispatch, OneExpertTakesAllAndNoRows) {
  const Dispatch all = dispatch(torch::full({9, 1}, 2, torch::kInt64), 4);
  EXPECT_EQ(all.offsets.host(), (std::vector<int64_t>{0, 0, 0, 9, 9}));
  const Dispatch none = dispatch(torch::empty({0, 2}, torch::kInt64), 4);
  EXPECT_EQ(none.offsets.host(), (std::vector<int64_t>(5, 0)));
  const Tensor x = torch::randn({0, 6});
  EXPECT_EQ(gather_rows(x, none).sizes(), torch::IntArrayRef({0, 6}));
  EXPECT_EQ(combine_rows(x, torch::empty({0, 2}), none).sizes(), torch::IntArrayRef({0, 6}));
}

// GShard's rule written out: first choices first, in the given order, as long as the expert has room.
TEST(Dispatch, CapacityDropsWhatComesLate) {
  const int64_t rows = 40, top_k = 2, experts = 5;
  const Tensor expert_Tk = random_choice(rows, top_k, experts);
  std::vector<int64_t> backwards;
  for (int64_t t = rows; t-- > 0;) backwards.push_back(t);
  for (const auto& order : {std::vector<int64_t>{}, backwards})
    for (const int64_t capacity : {1, 9, 16, 80}) {
      const Dispatch plan = dispatch(expert_Tk, experts, {capacity, order});
      expect_consistent(plan, expert_Tk, experts);
      std::vector<int64_t> room(experts, capacity);
      int64_t dropped = 0;
      for (int64_t j = 0; j < top_k; ++j)
        for (int64_t i = 0; i < rows; ++i) {
          const int64_t t = order.empty() ? i : order[i], e = expert_Tk[t][j].item<int64_t>();
          const bool expected = room[e] > 0;
          EXPECT_EQ(plan.slot_Tk[t][j].item<int64_t>() >= 0, expected) << t << " " << j;
          if (expected) --room[e];
          dropped += !expected;
        }
      EXPECT_EQ(num_dropped(plan), dropped);
    }
  EXPECT_EQ(expert_capacity(1.25, 40, 2, 5), 20);
  EXPECT_EQ(expert_capacity(1.0, 41, 2, 5), 17);
  EXPECT_EQ(expert_capacity(1.0, 1, 1, 64), 1);
}

// An expert's rows by part, then by row; the capacity is the expert's, not the part's.
TEST(Dispatch, PartsAreSortedWithinTheirExpert) {
  const int64_t rows = 60, top_k = 2, experts = 4, parts = 3;
  const Tensor expert_Tk = random_choice(rows, top_k, experts),
               part_T = torch::randint(parts, {rows}, torch::kInt64);
  for (const int64_t capacity : {0, 20}) {
    const Dispatch plan = dispatch(expert_Tk, experts, {capacity, {}}, {part_T, parts});
    const Dispatch whole = dispatch(expert_Tk, experts, {capacity, {}});
    EXPECT_TRUE(torch::equal(plan.slot_Tk < 0, whole.slot_Tk < 0)) << capacity;
    const Tensor group_Tk = expert_Tk * parts + part_T.unsqueeze(1);
    expect_consistent(plan, group_Tk, experts * parts);
    EXPECT_EQ(plan.offsets.joined(experts * parts, parts).host(), whole.offsets.host()) << capacity;
  }
}

class Combine : public testing::TestWithParam<int64_t> {};  // the capacity

TEST_P(Combine, ThereAndBackEqualsReference) {
  const int64_t rows = 23, width = 37;
  const Tensor expert_Tk = random_choice(rows, 3, 6);
  const Dispatch plan = dispatch(expert_Tk, 6, {GetParam(), {}});
  torch::manual_seed(8);
  const auto values =
      as_leaves({torch::randn({rows, width}, torch::kFloat64), torch::rand({rows, 3}, torch::kFloat64)});
  for (const auto dtype : {torch::kFloat64, torch::kFloat32}) {
    const auto leaves = as_leaves({values[0].to(dtype), values[1].to(dtype)});
    const Tensor expected =
        combine_rows_reference(gather_rows_reference(values[0], plan).sin(), values[1], plan);
    const Tensor actual = combine_rows(gather_rows(leaves[0], plan).sin(), leaves[1], plan);
    const double tolerance = dtype == torch::kFloat64 ? 1e-14 : 1e-6;
    EXPECT_LT(relative_error(actual, expected), tolerance);
    const Tensor direction = torch::randn_like(expected);
    const auto expected_grads = gradients(expected, direction, values);
    const auto actual_grads = gradients(actual, direction.to(dtype), leaves);
    for (size_t i = 0; i < 2; ++i)
      EXPECT_LT(relative_error(actual_grads[i], expected_grads[i]), tolerance) << i;
  }
}

TEST_P(Combine, GradientsEqualFiniteDifferences) {
  const Dispatch plan = dispatch(random_choice(9, 2, 4), 4, {GetParam(), {}});
  torch::manual_seed(9);
  const auto leaves =
      as_leaves({torch::randn({9, 5}, torch::kFloat64), torch::rand({9, 2}, torch::kFloat64)});
  const Tensor direction = torch::randn({9, 5}, torch::kFloat64);
  const auto loss = [&] {
    return (combine_rows(gather_rows(leaves[0], plan).sin(), leaves[1], plan) * direction).sum();
  };
  expect_finite_differences(loss, leaves, 1e-7);
}

INSTANTIATE_TEST_SUITE_P(Capacities, Combine, testing::Values(0, 1, 4));

TEST(CombineRows, DroppedRowsAreZeroAndBfloatSumsInFloat) {
  const Tensor expert_Tk = torch::tensor({{0, 1}, {0, 1}, {1, 0}}, torch::kInt64);
  const Dispatch plan = dispatch(expert_Tk, 2, {1, {}});
  EXPECT_EQ(num_dropped(plan), 4);
  const Tensor y = combine_rows(torch::ones({2, 4}), torch::full({3, 2}, 0.5), plan);
  EXPECT_TRUE(torch::equal(y, torch::tensor({0.5f, 0.f, 0.5f}).unsqueeze(1).expand({3, 4})));
  const Dispatch whole = dispatch(expert_Tk, 2);
  const Tensor x = torch::randn({6, 50}), weight = torch::rand({3, 2});
  const Tensor half = combine_rows(x.to(torch::kBFloat16), weight, whole);
  EXPECT_EQ(half.scalar_type(), torch::kBFloat16);
  EXPECT_LT(
      relative_error(half, combine_rows_reference(x.to(torch::kBFloat16).to(torch::kFloat32), weight, whole)),
      1e-2);
}

}  // namespace
}  // namespace dmoerm::ops
