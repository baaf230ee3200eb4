// The stages of training a reward model, each resumable: router, phase 1 (the task's human rankings), phase 2
// (capability experts), phase 3 (aggregator). Pipelines and studies are put together from these.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/data/capability_labels.h"
#include "dmoerm/data/group_store.h"
#include "dmoerm/models/adapter.h"
#include "dmoerm/models/checkpoint.h"
#include "dmoerm/reward/inner_model.h"
#include "dmoerm/reward/task_router.h"
#include "dmoerm/train/aggregator_objective.h"
#include "dmoerm/train/preference_objective.h"
#include "dmoerm/train/router_objective.h"
#include "dmoerm/train/trainer.h"

namespace dmoerm::train {

// What every stage needs.
struct StageContext {
  RunDirectory& run;
  const data::GroupStore& store;
  uint64_t seed = 1;
  double flops_rate = 1e12;
};

// Groups of the store, by what they are for. Every group of a prompt is in one part.
struct GroupSplit {
  std::vector<int64_t> train, held_out;  // held_out: early stopping
  int64_t size() const { return static_cast<int64_t>(train.size() + held_out.size()); }
};

struct SplitShares {
  double phase1 = 0.6;    // of the prompts, for phases 1 and 2; the rest is phase 3's
  double held_out = 0.1;  // of each part, for early stopping
};

// Part of `groups` for phases 1 and 2 (phase = 1) or phase 3 (phase = 3), or all of them (phase = 0).
GroupSplit split_groups(const data::GroupStore& store, const std::vector<int64_t>& groups, int phase,
                        const SplitShares& shares);

// The human rankings of the groups; groups without an edge are left out.
std::vector<PreferenceExample> human_examples(const data::GroupStore& store,
                                              const std::vector<int64_t>& groups, int32_t head_row = 0);
// The kept labels of one capability point on the groups' records.
std::vector<PreferenceExample> labelled_examples(const data::GroupStore& store,
                                                 const std::vector<int64_t>& groups,
                                                 const data::CapabilityLabels& labels,
                                                 const std::string& point, int32_t head_row = 0);

struct PreferenceStage {
  TrainOptions train;
  PreferenceOptions preference;
};

// A new head [P, D] of normal(0, 0.02), or the base's own where it has one of one label and P is 1.
Tensor new_head(const models::Checkpoint& base, int64_t rows, uint64_t seed);

// Trains the whole base with a head of one row or more: `base.decoder` and `base.score_weight` are replaced
// in place.
void train_whole(StageContext& context, const std::string& stage, models::Checkpoint& base,
                 PreferenceLane lane, const PreferenceStage& options);

// Trains a plain reward model of all tasks in the base's place, with a head of one row (new_head()). It
// learns from phase 1's prompts alone: phase 3 needs rankings that the experts have not seen. Stage
// "warm_start".
void train_warm_start(StageContext& context, models::Checkpoint& base, const SplitShares& shares,
                      const PreferenceStage& options);

// Trains adapters side by side over a frozen base; lanes and adapters correspond.
void train_adapters(StageContext& context, const std::string& stage, nn::Decoder& decoder,
                    std::vector<models::Adapter>& adapters, std::vector<PreferenceLane> lanes,
                    const PreferenceStage& options);

void train_router(StageContext& context, const std::string& stage, reward::TaskRouter& router,
                  std::vector<RouterExample> train, std::vector<RouterExample> held_out,
                  const TrainOptions& options, int64_t token_budget);

// The states [R, K, D] of the groups' sequences, in their order, under K experts (none: the base alone, K =
// 1), kept in a memory-mapped file of the run; float32 on the CPU.
Tensor answer_states(StageContext& context, const std::string& stage, const nn::Decoder& decoder,
                     const nn::ExpertSet& experts, const std::vector<int64_t>& groups, int64_t token_budget);

// The states of all answers of the split's groups under the experts, computed once and kept in a
// memory-mapped file of the run; edges are the human rankings.
StateExamples compute_states(StageContext& context, const std::string& stage, const nn::Decoder& decoder,
                             const nn::ExpertSet& experts, const GroupSplit& split, int64_t token_budget);

struct AggregatorStage {
  std::string start = "linear";  // the fitted linear combination; "random": the published form
  TrainOptions train;
  AggregatorOptions aggregator;
};

// On head_KD's device. `fit` is what it starts from and is pulled back to (start "linear").
reward::Aggregator train_aggregator(StageContext& context, const std::string& stage,
                                    const StateExamples& examples, const Tensor& head_KD,
                                    const LinearFit& fit, const AggregatorStage& options);

// Gives the aggregator to the inner model, on the model's device, and sets the mean and deviation of its
// rewards over the examples' answers.
void set_aggregator(reward::InnerModel& model, reward::Aggregator aggregator, const StateExamples& examples);

}  // namespace dmoerm::train
