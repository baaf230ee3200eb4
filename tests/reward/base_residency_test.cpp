// A model whose bases do not fit the memory they may take gives the rewards of one that is loaded whole, on
// the CPU and, where there is one, on a GPU.
#include "dmoerm/core/random.h"
#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {
namespace {

constexpr int64_t kTasks = 5;

std::string task_name(int64_t task) {
  return fmt::format("task{}", task);
}

// Every task with a base of its own.
DoubleLayerModel five_tasks() {
  DoubleLayerModel model;
  model.max_tokens = 64;
  for (int64_t t = 0; t < kTasks; ++t) {
    InnerModel inner;
    inner.task = task_name(t);
    inner.base = std::make_shared<BaseModel>(BaseModel{"base/" + inner.task, tiny_checkpoint(40 + t)});
    for (const auto* point : {"logic", "style"})
      inner.experts.push_back(tiny_expert(inner.decoder(), point, 10 * t + inner.experts.size()));
    inner.sum_weights = {0.5, -1.25};
    model.tasks.push_back(std::move(inner));
  }
  TaskRouter router;
  router.kind = RouterKind::Classifier;
  router.own = tiny_checkpoint(4, kTasks);
  for (int64_t t = 0; t < kTasks; ++t) router.labels.push_back(task_name(t));
  model.router = router;
  return model;
}

int64_t base_bytes() {
  const models::Checkpoint checkpoint = tiny_checkpoint(1);
  int64_t bytes = 0;
  for (const auto& [name, weight] : checkpoint.decoder->weights())
    bytes += static_cast<int64_t>(weight.nbytes());
  return bytes;
}

// Records of these tasks; -1: the router's.
std::vector<data::PreferenceRecord> records_of(const std::vector<int64_t>& tasks, uint64_t seed) {
  std::vector<data::PreferenceRecord> records;
  RandomStream random(seed, "records");
  for (const int64_t task : tasks) {
    const auto draw = [&] {
      std::vector<int32_t> ids(2 + random.below(9));
      for (int32_t& id : ids) id = static_cast<int32_t>(3 + random.below(600));
      return ids;
    };
    const std::vector<int32_t> prompt = draw();
    records.push_back(ids_record(prompt, {draw(), draw()}, task < 0 ? "" : task_name(task)));
  }
  return records;
}

class Residency : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) == "cuda" && !torch::cuda::is_available()) GTEST_SKIP() << "no GPU";
    five_tasks().save(directory_.path() / "model");
  }
  DoubleLayerModel load(double bases) const {
    models::LoadOptions options;
    options.device = torch::Device(GetParam());
    options.base_memory = static_cast<int64_t>(bases * static_cast<double>(base_bytes()));
    return DoubleLayerModel::load(directory_.path() / "model", options);
  }

  TemporaryDirectory directory_;
};

TEST_P(Residency, RewardsAreThoseOfAModelLoadedWhole) {
  Scorer whole(load(0));  // no limit but what there is
  ASSERT_EQ(whole.model().residency, nullptr);
  for (const double places : {1.0, 2.5, 4.0}) {
    Scorer limited(load(places));
    ASSERT_NE(limited.model().residency, nullptr);
    RandomStream random(7, "orders");
    for (uint64_t call = 0; call < 12; ++call) {
      std::vector<int64_t> tasks(1 + random.below(8));
      for (int64_t& task : tasks) task = static_cast<int64_t>(random.below(kTasks + 1)) - 1;
      const auto records = records_of(tasks, call);
      const auto expected = whole.score(records), actual = limited.score(records);
      for (size_t i = 0; i < records.size(); ++i) {
        EXPECT_EQ(actual[i].error, "");
        EXPECT_EQ(actual[i].task, expected[i].task);
        // Projections that are joined are one product on the CPU too, whose sums may be rounded differently.
        expect_near(actual[i].rewards, expected[i].rewards, 1e-5);
      }
    }
  }
}

TEST_P(Residency, ABaseIsMovedOnceForARunOfItsTask) {
  Scorer scorer(load(2.5));
  const BaseResidency& residency = *scorer.model().residency;
  scorer.score(records_of({0}, 1));
  int64_t before = residency.num_moves();
  for (uint64_t i = 0; i < 5; ++i) scorer.score(records_of({0, 0, 0}, i));
  EXPECT_EQ(residency.num_moves(), before);  // it is there
  scorer.score(records_of({1, 0, 1}, 1));
  scorer.score(records_of({0, 1}, 2));
  EXPECT_EQ(residency.num_moves() - before, residency.num_moves() > before ? 1 : 0);  // both fit
  before = residency.num_moves();
  scorer.score(records_of({0, 1, 2, 3, 4}, 3));
  EXPECT_EQ(residency.num_moves() - before, 3);  // what is there goes first
}

TEST_P(Residency, ABaseAboveTheLimitIsAnError) {
  const std::string error = error_of([&] { load(0.5); });
  EXPECT_THAT(error, HasSubstr("a base takes"));
  EXPECT_THAT(error, HasSubstr("limit"));
}

INSTANTIATE_TEST_SUITE_P(Devices, Residency, testing::Values("cpu", "cuda"));

}  // namespace
}  // namespace dmoerm::reward
