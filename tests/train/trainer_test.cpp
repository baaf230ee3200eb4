// The training loop where the device's memory ends.
#include "dmoerm/train/trainer.h"

#include "dmoerm/core/device_memory.h"
#include "tests/train/train_fixture.h"

namespace dmoerm::train {
namespace {

// Moves its parameter towards the mean of a step's examples. Memory ends wherever it computes more than
// `fits` at once.
class Mean : public Objective {
 public:
  Mean(int64_t at_once, int64_t fits) : at_once_(at_once), fits_(fits) {}

  int64_t num_lanes() const override { return 1; }
  std::string lane_name(int64_t) const override { return "mean"; }
  NamedParameters parameters(int64_t) override { return {{"value", value_}}; }
  std::vector<Source> sources(int64_t) const override { return {{0, 12}}; }
  bool shrink() override {
    at_once_ /= 2;
    return at_once_ > 0;
  }
  StepResult accumulate(const StepRequest& request) override {
    EXPECT_FALSE(value_.grad().defined());
    Tensor sum = torch::zeros({1});
    for (const int64_t example : request.examples[0]) sum += static_cast<float>(example);
    value_.mutable_grad() = value_.detach() - sum / static_cast<double>(request.examples[0].size());
    compute();
    return {[] { return std::vector<Json>{{{"loss", 0.5}}}; }, 1, 1};
  }
  std::vector<Evaluation> evaluate(const std::vector<int64_t>&) override {
    EXPECT_FALSE(value_.grad().defined());
    compute();
    return {{-std::abs(value_.item<double>() - 5.5), {{"loss", 0.5}}}};
  }

  double value() const { return value_.item<double>(); }
  int64_t at_once() const { return at_once_; }

 private:
  void compute() const { TORCH_CHECK_WITH(OutOfMemoryError, at_once_ <= fits_, "out of memory"); }

  Tensor value_ = torch::zeros({1});
  int64_t at_once_, fits_;
};

class TrainerTest : public TrainTest {
 protected:
  double train(Mean& objective) {
    RunDirectory run(directory_ / fmt::format("run{}", num_runs_++), false);
    run.begin({{"test", 1}});
    Trainer(objective, {.epochs = 4, .batch = 4, .lr = 0.2}, 1, "mean", run, 1e12).run();
    return objective.value();
  }
  int num_runs_ = 0;
};

TEST_F(TrainerTest, GoesOnWithLessWhereMemoryEnds) {
  Mean fits(16, 16), does_not(16, 3);  // which the evaluation before the first step finds out
  const double expected = train(fits);
  EXPECT_NE(expected, 0);
  EXPECT_EQ(train(does_not), expected);
  EXPECT_EQ(fits.at_once(), 16);
  EXPECT_EQ(does_not.at_once(), 2);
}

TEST_F(TrainerTest, EndsWhereNothingFits) {
  Mean objective(16, 0);
  EXPECT_THROW(train(objective), OutOfMemory);
}

}  // namespace
}  // namespace dmoerm::train
