// Training by preferences: the ranking loss over prompt groups. One lane trains a whole base and its head, or
// a LoRA expert and its head; several lanes train the experts of a task together over one frozen base.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/data/group_store.h"
#include "dmoerm/nn/decoder.h"
#include "dmoerm/nn/router_loss.h"
#include "dmoerm/reward/ranking_loss.h"
#include "dmoerm/train/objective.h"

namespace dmoerm::train {

// `row` is the row of the lane's head that judges this edge: 0 unless the lane has several (multi-objective).
struct ScoredEdge : data::Edge {
  int32_t row = 0;
};

// A group of the store with the edges that this lane learns from.
struct PreferenceExample {
  int64_t group = 0;
  std::vector<ScoredEdge> edges;
};

struct PreferenceLane {
  std::string name;
  Tensor head_PD;                      // [P, D] float32, trained in place
  std::optional<nn::LoraExpert> lora;  // trained in place; without it the lane runs on the base
  std::vector<PreferenceExample> train, held_out;
  std::vector<Source> sources;  // over `train`; empty: all of it
};

struct PreferenceOptions {
  int64_t token_budget = 8192;  // computed tokens a micro-batch
  double label_smoothing = 0, centering = 0;
  bool share_prefix = true;
  std::string early_stop = "accuracy";     // or "loss": what the held-out score is
  nn::RouterLossOptions router_loss = {};  // of a base with MoE layers that is trained whole
};

class PreferenceObjective : public Objective {
 public:
  // `train_base`: the decoder's weights belong to the only lane. Tensors of the lanes and the decoder are
  // trained in place, so the caller's handles see the result.
  PreferenceObjective(const data::GroupStore& store, nn::Decoder& decoder, bool train_base,
                      std::vector<PreferenceLane> lanes, PreferenceOptions options, uint64_t seed);
  ~PreferenceObjective() override;

  int64_t num_lanes() const override { return static_cast<int64_t>(lanes_.size()); }
  std::string lane_name(int64_t lane) const override { return lanes_[lane].name; }
  NamedParameters parameters(int64_t lane) override;
  std::vector<Source> sources(int64_t lane) const override;
  StepResult accumulate(const StepRequest& request) override;
  void prepare(const StepRequest& next) override;
  bool shrink() override;
  std::vector<Evaluation> evaluate(const std::vector<int64_t>& lanes) override;

 private:
  struct Unit;   // one lane's example with its sequences
  struct Tally;  // sums of one lane over a step
  struct Step;   // a step's units, cut into batches and packed
  using UnitRewards = std::vector<std::pair<std::vector<const Unit*>, Tensor>>;  // of each batch
  // One forward pass; the trace is filled where router losses want it.
  struct Pass {
    Tensor rewards_N;
    nn::Batch batch;
    nn::RoutingTrace trace;
  };
  data::PackedBatch pack(const std::vector<const Unit*>& units) const;
  Pass run(const std::vector<const Unit*>& units, const data::PackedBatch& packed, bool with_trace) const;
  std::shared_ptr<const Step> plan(const StepRequest& request) const;
  Unit load(int64_t lane, const PreferenceExample& example, double weight) const;
  Tensor rewards(const std::vector<const Unit*>& units, int64_t& tokens) const;
  // Add to the gradients; return the rewards, on the device.
  Tensor backward(const std::vector<const Unit*>& units, const data::PackedBatch& packed,
                  const nn::StepRows& rows);
  Tensor backward_in_chunks(const Unit& unit, const nn::StepRows& rows, int64_t& tokens);
  // Adds the router losses of a pass, where they are on.
  Tensor with_router_loss(const Tensor& loss, const Pass& pass, const nn::StepRows& rows);
  // For the router losses.
  template <typename Visit>
  void for_each_pass(const Step& step, Visit visit) const;
  void count_rows(Step& step) const;
  void count_loads(const Step& step);
  std::vector<Unit> chunks(const Unit& unit) const;
  int64_t longest_sharing() const { return decoder_.config().rotary.longest_common(); }
  reward::RankingLossOptions loss_options() const { return {options_.label_smoothing, options_.centering}; }
  void evaluate_units(const std::vector<Unit>& units, std::vector<Tally>& tallies) const;
  void tally(const std::vector<const Unit*>& units, const Tensor& rewards_N,
             std::vector<Tally>& tallies) const;

  const data::GroupStore& store_;
  nn::Decoder& decoder_;
  bool train_base_;
  std::vector<PreferenceLane> lanes_;
  PreferenceOptions options_;
  uint64_t seed_;
  nn::ExpertSet experts_;  // the lanes' LoRA experts, in lane order
  nn::StepLoads loads_;    // for router losses
  std::future<std::shared_ptr<const Step>> next_;
};

}  // namespace dmoerm::train
