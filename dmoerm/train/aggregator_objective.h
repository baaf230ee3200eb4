// Phase 3: the aggregator on states that are computed once. Its inputs are standardised while it trains, and
// it is pulled back to where it started.
#pragma once

#include <memory>

#include "dmoerm/core/repeated_work.h"
#include "dmoerm/reward/aggregator.h"
#include "dmoerm/reward/ranking_loss.h"
#include "dmoerm/train/linear_fit.h"
#include "dmoerm/train/objective.h"
#include "dmoerm/train/row_batch.h"

namespace dmoerm::train {

struct AggregatorOptions {
  double pull = 3e-3;  // weight of the squared distance to the start
  double label_smoothing = 0, centering = 0;
  std::string early_stop = "loss";  // or "accuracy"
};

class AggregatorObjective : public Objective {
 public:
  // Trains `aggregator` in place, on the device of its parameters; call finish() when done, which returns it
  // to unstandardised inputs.
  AggregatorObjective(reward::Aggregator& aggregator, const StateExamples& examples,
                      AggregatorOptions options);
  void finish();

  int64_t num_lanes() const override { return 1; }
  std::string lane_name(int64_t) const override { return "aggregator"; }
  NamedParameters parameters(int64_t lane) override;
  std::vector<Source> sources(int64_t) const override {
    return {{0, static_cast<int64_t>(examples_.train.size()), 1}};
  }
  StepResult accumulate(const StepRequest& request) override;
  bool shrink() override;
  std::vector<Evaluation> evaluate(const std::vector<int64_t>& lanes) override;

 private:
  // A step's rows and edges, and what it makes of them. The next step of as many rows and edges takes their
  // place, so that a GPU can repeat what was recorded.
  struct Step {
    RowBatch batch;
    Tensor reward_R, loss;
    std::vector<Tensor> gradients;  // of the parameters, in their order
    std::unique_ptr<RepeatedWork> work;
  };

  Tensor rewards(const reward::Aggregator& aggregator, const Tensor& row_R) const;
  void differentiate(Step& step) const;
  Step& step_of(RowBatch batch);  // a batch that lies on the CPU

  reward::Aggregator& aggregator_;
  const StateExamples& examples_;
  DeviceRows states_;
  AggregatorOptions options_;
  Tensor mean_KD_, std_KD_;
  NamedTensors start_;
  std::unique_ptr<Step> step_;
};

}  // namespace dmoerm::train
