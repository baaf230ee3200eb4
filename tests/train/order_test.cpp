#include <set>

#include <gtest/gtest.h>

#include "dmoerm/core/error.h"
#include "dmoerm/train/example_order.h"
#include "dmoerm/train/schedule.h"

namespace dmoerm::train {
namespace {

TEST(ExampleOrder, VisitsEveryExampleOnceAnEpoch) {
  ExampleOrder order({{10, 17, 1}}, 3, "lane");
  std::vector<int64_t> first, second;
  for (int i = 0; i < 7; ++i) first.push_back(order.next());
  for (int i = 0; i < 7; ++i) second.push_back(order.next());
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()), (std::set<int64_t>{10, 11, 12, 13, 14, 15, 16}));
  EXPECT_EQ(std::set<int64_t>(second.begin(), second.end()).size(), 7u);
  EXPECT_NE(first, second);
}

TEST(ExampleOrder, SkippingIsDrawing) {
  const std::vector<Source> sources = {{0, 5, 1}, {5, 30, 3}};
  ExampleOrder drawn(sources, 9, "lane"), skipped(sources, 9, "lane");
  for (int i = 0; i < 57; ++i) drawn.next();
  skipped.skip(57);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(drawn.next(), skipped.next());
}

TEST(ExampleOrder, DrawsSourcesByWeight) {
  ExampleOrder order({{0, 100, 1}, {100, 110, 3}}, 1, "lane");
  int small = 0;
  for (int i = 0; i < 4000; ++i) small += order.next() >= 100;
  EXPECT_NEAR(small / 4000.0, 0.75, 0.03);  // four standard deviations
}

TEST(ExampleOrder, EmptySourceIsAnError) {
  EXPECT_THROW(ExampleOrder({{3, 3, 1}}, 1, "lane"), Error);
}

TEST(Schedule, WarmsUpAndFalls) {
  const Schedule linear{"linear", 0.1, 0.2}, cosine{"cosine", 0.0, 0.0}, constant{"constant", 0.0, 0.1};
  EXPECT_NEAR(schedule_factor(linear, 0, 100), 0.1, 1e-12);  // 1 of 10 warm-up steps
  EXPECT_NEAR(schedule_factor(linear, 9, 100), 1.0, 0.02);
  EXPECT_NEAR(schedule_factor(linear, 99, 100), 0.2, 1e-12);
  EXPECT_NEAR(schedule_factor(cosine, 0, 101), 1.0, 1e-12);
  EXPECT_NEAR(schedule_factor(cosine, 50, 101), 0.5, 1e-12);
  EXPECT_NEAR(schedule_factor(cosine, 100, 101), 0.0, 1e-12);
  EXPECT_EQ(schedule_factor(constant, 70, 100), 1.0);
}

}  // namespace
}  // namespace dmoerm::train
