// Training of the task router: cross-entropy of the logits (never of probabilities) against the task.
#pragma once

#include <vector>

#include "dmoerm/reward/task_router.h"
#include "dmoerm/train/objective.h"

namespace dmoerm::train {

struct RouterExample {
  std::vector<int32_t> tokens;  // data::GroupEncoder::encode_router_input
  int64_t label = 0;            // index into TaskRouter::labels
};

class RouterObjective : public Objective {
 public:
  // Trains in place what belongs to the router's kind: backbone and head, LoRA and head, or the head alone.
  RouterObjective(reward::TaskRouter& router, std::vector<RouterExample> train,
                  std::vector<RouterExample> held_out, int64_t token_budget, uint64_t seed);
  ~RouterObjective() override;

  int64_t num_lanes() const override { return 1; }
  std::string lane_name(int64_t) const override { return "router"; }
  NamedParameters parameters(int64_t lane) override;
  std::vector<Source> sources(int64_t) const override {
    return {{0, static_cast<int64_t>(train_.size()), 1}};
  }
  StepResult accumulate(const StepRequest& request) override;
  bool shrink() override { return halve_token_budget(token_budget_); }
  // Score: share of inputs whose most probable task is the right one.
  std::vector<Evaluation> evaluate(const std::vector<int64_t>& lanes) override;

 private:
  Tensor logits(const std::vector<const RouterExample*>& examples) const;  // [N, C]

  reward::TaskRouter& router_;
  std::vector<RouterExample> train_, held_out_;
  int64_t token_budget_;
  uint64_t seed_;
  nn::ExpertSet experts_;
};

}  // namespace dmoerm::train
