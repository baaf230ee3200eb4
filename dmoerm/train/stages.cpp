#include "dmoerm/train/stages.h"

#include <numeric>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/core/random.h"
#include "dmoerm/reward/packed_states.h"

namespace dmoerm::train {
namespace {

constexpr int64_t kWindow = 1024;  // groups in memory at once

// A float32 tensor in a file of the run directory, so that it may be larger than memory.
Tensor mapped_tensor(const fs::path& path, at::IntArrayRef sizes) {
  fs::create_directories(path.parent_path());
  fs::remove(path);
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  return at::from_file(path.string(), /*shared=*/true, count, torch::kFloat32).view(sizes);
}

}  // namespace

Tensor new_head(const models::Checkpoint& base, int64_t rows, uint64_t seed) {
  const bool own = rows == 1 && base.head == models::HeadKind::Score && base.score_weight.size(0) == 1;
  if (own) return base.score_weight.to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
  const int64_t width = base.decoder->config().hidden_size;
  std::vector<float> values(rows * width);
  RandomStream stream(seed, "head");
  for (float& value : values) value = static_cast<float>(0.02 * stream.normal());
  return torch::tensor(values).view({rows, width}).to(base.decoder->device());
}

void train_whole(StageContext& context, const std::string& stage, models::Checkpoint& base,
                 PreferenceLane lane, const PreferenceStage& options) {
  base.score_weight = lane.head_PD;
  base.head = models::HeadKind::Score;
  base.lm_weight = Tensor();
  base.labels.clear();
  std::vector<PreferenceLane> lanes;
  lanes.push_back(std::move(lane));
  PreferenceObjective objective(context.store, *base.decoder, /*train_base=*/true, std::move(lanes),
                                options.preference, context.seed);
  Trainer(objective, options.train, context.seed, stage, context.run, context.flops_rate).run();
}

void train_warm_start(StageContext& context, models::Checkpoint& base, const SplitShares& shares,
                      const PreferenceStage& options) {
  std::vector<int64_t> groups(context.store.size());
  std::iota(groups.begin(), groups.end(), 0);
  const GroupSplit split = split_groups(context.store, groups, 1, shares);
  PreferenceLane lane;
  lane.name = "all tasks";
  lane.train = human_examples(context.store, split.train);
  lane.held_out = human_examples(context.store, split.held_out);
  if (lane.train.empty()) fail("train", "there are no rankings for the warm start");
  lane.head_PD = new_head(base, 1, hash_combine(context.seed, hash64("warm start")));
  train_whole(context, "warm_start", base, std::move(lane), options);
}

void train_adapters(StageContext& context, const std::string& stage, nn::Decoder& decoder,
                    std::vector<models::Adapter>& adapters, std::vector<PreferenceLane> lanes,
                    const PreferenceStage& options) {
  DMOERM_ASSERT(adapters.size() == lanes.size());
  for (size_t i = 0; i < lanes.size(); ++i) {
    lanes[i].lora = adapters[i].lora;
    adapters[i].score_weight = lanes[i].head_PD;
  }
  PreferenceObjective objective(context.store, decoder, /*train_base=*/false, std::move(lanes),
                                options.preference, context.seed);
  Trainer(objective, options.train, context.seed, stage, context.run, context.flops_rate).run();
}

void train_router(StageContext& context, const std::string& stage, reward::TaskRouter& router,
                  std::vector<RouterExample> train, std::vector<RouterExample> held_out,
                  const TrainOptions& options, int64_t token_budget) {
  RouterObjective objective(router, std::move(train), std::move(held_out), token_budget, context.seed);
  Trainer(objective, options, context.seed, stage, context.run, context.flops_rate).run();
}

Tensor answer_states(StageContext& context, const std::string& stage, const nn::Decoder& decoder,
                     const nn::ExpertSet& experts, const std::vector<int64_t>& groups, int64_t token_budget) {
  int64_t rows = 0;
  for (const int64_t group : groups) rows += std::ssize(context.store.get(group).sequences);
  const auto num_states = std::max<int64_t>(1, std::ssize(experts.experts));
  Tensor z_RKD = mapped_tensor(context.run.path() / "cache" / (stage + ".states"),
                               {rows, num_states, decoder.config().hidden_size});
  torch::NoGradGuard no_grad;
  Progress progress(stage + " states", std::ssize(groups), "groups");
  int64_t first_row = 0;
  for (size_t begin = 0; begin < groups.size(); begin += kWindow) {
    const size_t end = std::min(groups.size(), begin + kWindow);
    std::vector<data::PromptGroup> contents;
    std::vector<reward::PromptSequences> prompts;
    for (size_t i = begin; i < end; ++i) contents.push_back(context.store.get(groups[i]));
    for (const data::PromptGroup& content : contents)
      prompts.emplace_back(content.sequences.begin(), content.sequences.end());
    const Tensor window_RKD = reward::packed_states(decoder, &experts, prompts, {token_budget});
    z_RKD.narrow(0, first_row, window_RKD.size(0)).copy_(window_RKD);
    first_row += window_RKD.size(0);
    progress.advance(static_cast<int64_t>(end - begin));
  }
  return z_RKD;
}

StateExamples compute_states(StageContext& context, const std::string& stage, const nn::Decoder& decoder,
                             const nn::ExpertSet& experts, const GroupSplit& split, int64_t token_budget) {
  StateExamples examples;
  std::vector<int64_t> groups;
  int64_t rows = 0;
  for (const auto* part : {&split.train, &split.held_out})
    for (const int64_t group : *part) {
      const data::PromptGroup content = context.store.get(group);
      std::vector<data::Edge> edges;
      for (data::Edge edge : content.edges) {
        if (edge.better == edge.worse) continue;
        edge.better += static_cast<int32_t>(rows);
        edge.worse += static_cast<int32_t>(rows);
        edges.push_back(edge);
      }
      if (edges.empty()) continue;
      (part == &split.train ? examples.train : examples.held_out).push_back(std::move(edges));
      groups.push_back(group);
      rows += std::ssize(content.sequences);
    }
  if (rows == 0) fail("train", "{}: no rankings are left for the aggregator", stage);
  examples.z_RKD = answer_states(context, stage, decoder, experts, groups, token_budget);
  return examples;
}

reward::Aggregator train_aggregator(StageContext& context, const std::string& stage,
                                    const StateExamples& examples, const Tensor& head_KD,
                                    const LinearFit& fit, const AggregatorStage& options) {
  const uint64_t seed = hash_combine(context.seed, hash64(stage));
  auto aggregator = options.start == "linear"
                        ? reward::Aggregator::from_linear(fit.combination(head_KD), seed)
                        : reward::Aggregator(head_KD.size(0), head_KD.size(1), seed);
  aggregator.to(head_KD.device());
  AggregatorObjective objective(aggregator, examples, options.aggregator);
  Trainer(objective, options.train, context.seed, stage, context.run, context.flops_rate).run();
  objective.finish();
  return aggregator;
}

void set_aggregator(reward::InnerModel& model, reward::Aggregator aggregator, const StateExamples& examples) {
  torch::NoGradGuard no_grad;
  std::vector<Tensor> parts;
  for (const Tensor& z_RKD : examples.z_RKD.split(kStatesAtOnce))
    parts.push_back(aggregator.forward(z_RKD.to(aggregator.device())).to(torch::kCPU, torch::kFloat64));
  const Tensor reward_R = torch::cat(parts);
  model.reward_mean = reward_R.mean().item<double>();
  const double deviation = reward_R.std(0, /*unbiased=*/false).item<double>();
  model.reward_std = deviation > 0 ? deviation : 1;
  aggregator.to(model.decoder().device());
  model.aggregator = std::move(aggregator);
}

}  // namespace dmoerm::train
