// The gate of a gated head (ArmoRM, stage 2) on states that are computed once: Bradley-Terry on the human
// rankings. The rating heads stay as they are. R answers, G prompts, D width.
#pragma once

#include "dmoerm/reward/gated_head.h"
#include "dmoerm/reward/ranking_loss.h"
#include "dmoerm/train/objective.h"
#include "dmoerm/train/row_batch.h"

namespace dmoerm::train {

struct GateExamples {
  reward::GatedInputs inputs;                            // on the CPU; z may be a memory-mapped file
  std::vector<std::vector<data::Edge>> train, held_out;  // a list for each group; indices are rows of z
};

struct GateOptions {
  reward::RankingLossOptions loss;
  std::string early_stop = "loss";  // or "accuracy"
};

class GateObjective : public Objective {
 public:
  // Trains the gate of `head` in place.
  GateObjective(reward::GatedHead& head, const GateExamples& examples, GateOptions options);
  ~GateObjective() override;  // the gate's tensors ask for no gradient any more

  int64_t num_lanes() const override { return 1; }
  std::string lane_name(int64_t) const override { return "gate"; }
  NamedParameters parameters(int64_t lane) override;
  std::vector<Source> sources(int64_t) const override {
    return {{0, static_cast<int64_t>(examples_.train.size()), 1}};
  }
  StepResult accumulate(const StepRequest& request) override;
  std::vector<Evaluation> evaluate(const std::vector<int64_t>& lanes) override;

 private:
  // Rewards of the rows that the groups use, and their edges over those rewards.
  std::pair<Tensor, reward::RankingEdges> rewards(const EdgeLists& groups) const;

  reward::GatedHead& head_;
  const GateExamples& examples_;
  GateOptions options_;
};

}  // namespace dmoerm::train
