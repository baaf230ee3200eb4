// Phase 3: the aggregator on states that are computed once. Its inputs are standardised while it trains, and
// it is pulled back to where it started.
#pragma once

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
  bool shrink() override { return states_.leave_device(); }
  std::vector<Evaluation> evaluate(const std::vector<int64_t>& lanes) override;

 private:
  // Rewards of the rows that the groups use, and their edges over those rewards.
  std::pair<Tensor, reward::RankingEdges> rewards(const EdgeLists& groups) const;

  reward::Aggregator& aggregator_;
  const StateExamples& examples_;
  DeviceRows states_;
  AggregatorOptions options_;
  Tensor mean_KD_, std_KD_;
  NamedTensors start_;
};

}  // namespace dmoerm::train
