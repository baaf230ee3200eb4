// Multi-objective: one base for all tasks with a head for each capability point, trained on the same labels.
// Each task's reward is the linear combination of its points' heads fitted on phase 3's rankings. Where the
// task is not said, DMoERM's router chooses.
#include "dmoerm/core/hash.h"
#include "dmoerm/core/runtime.h"
#include "dmoerm/reward/scorer.h"
#include "dmoerm/study/method.h"
#include "dmoerm/train/run_data.h"

namespace dmoerm::study {
namespace {

using train::PreferenceExample;

// The labels of all points of a task on a group in one example; the head's rows are the points'.
std::vector<PreferenceExample> all_points(const data::GroupStore& store, const std::vector<int64_t>& groups,
                                          const data::CapabilityLabels& labels,
                                          const std::vector<std::string>& points, int32_t first_row) {
  std::map<int64_t, PreferenceExample> merged;
  for (size_t i = 0; i < points.size(); ++i)
    for (const PreferenceExample& example :
         train::labelled_examples(store, groups, labels, points[i], first_row + static_cast<int32_t>(i))) {
      PreferenceExample& target =
          merged.try_emplace(example.group, PreferenceExample{example.group, {}}).first->second;
      target.edges.insert(target.edges.end(), example.edges.begin(), example.edges.end());
    }
  std::vector<PreferenceExample> result;
  for (auto& [group, example] : merged) result.push_back(std::move(example));
  return result;
}

// Phase 1's options train the base, which starts from the configuration's warm start where there is one.
reward::DoubleLayerModel train_multi_objective(const train::RunConfig& config,
                                               const train::RunOptions& options) {
  train::RunDirectory run(config.out, options.resume);
  const text::Tokenizer tokenizer = text::Tokenizer::load(config.base);
  const data::GroupStore store = train::load_run_data(config, tokenizer);
  const auto labels = data::CapabilityLabels::load(config.labels);
  run.begin(train::run_identity(config, store, options.dtype));
  train::StageContext context{run, store, config.seed, measured_matmul_rate(options.device)};

  auto base = std::make_shared<reward::BaseModel>();
  base->path = "base";
  base->checkpoint = models::load_checkpoint(config.base, {options.device, torch::kFloat32});
  if (config.warm_start) train::train_warm_start(context, base->checkpoint, config.split, *config.warm_start);
  std::vector<std::vector<int64_t>> groups(config.tasks.size());
  for (int64_t group = 0; group < store.size(); ++group) {
    const int64_t task = train::task_index(config.tasks, store.task(group));
    if (task < 0) fail("train", "task {} is not one of the run's tasks", store.task(group));
    groups[task].push_back(group);
  }
  train::PreferenceLane lane;
  lane.name = "multi-objective";
  std::vector<int32_t> first_row;
  int32_t rows = 0;
  for (size_t task = 0; task < groups.size(); ++task) {
    const train::GroupSplit split = split_groups(store, groups[task], 1, config.split);
    const std::vector<std::string>& points = config.tasks[task].points;
    for (auto& example : all_points(store, split.train, labels, points, rows))
      lane.train.push_back(std::move(example));
    for (auto& example : all_points(store, split.held_out, labels, points, rows))
      lane.held_out.push_back(std::move(example));
    first_row.push_back(rows);
    rows += static_cast<int32_t>(points.size());
  }
  lane.head_PD =
      train::new_head(base->checkpoint, rows, hash_combine(config.seed, hash64("multi-objective")));
  train::train_whole(context, "train", base->checkpoint, std::move(lane), config.phase1);

  reward::DoubleLayerModel model;
  model.kind = "per_task";
  model.chat_format = config.encode.chat_format;
  model.max_tokens = config.encode.max_tokens;
  model.tokenizer = tokenizer;
  std::vector<Tensor> task_heads;
  const Tensor head_PD = base->checkpoint.score_weight.detach();
  for (size_t task = 0; task < groups.size(); ++task) {
    const train::GroupSplit split = split_groups(store, groups[task], 3, config.split);
    const Tensor points_KD =
        head_PD.narrow(0, first_row[task], static_cast<int64_t>(config.tasks[task].points.size()));
    const std::string stage = "states/" + config.tasks[task].name;
    const train::StateExamples states = compute_states(context, stage, *base->checkpoint.decoder, {}, split,
                                                       config.phase1.preference.token_budget);
    // A linear combination of heads over one state is one head.
    const Tensor weight_K =
        torch::tensor(train::fit_linear(states, points_KD).weights(), points_KD.options());
    task_heads.push_back(weight_K.unsqueeze(0).mm(points_KD));
    reward::InnerModel inner;
    inner.task = config.tasks[task].name;
    inner.aliases = config.tasks[task].aliases;
    inner.base = base;
    inner.label = static_cast<int64_t>(task);
    model.tasks.push_back(std::move(inner));
  }
  base->checkpoint.score_weight = torch::cat(task_heads);
  return model;
}

}  // namespace

ScorerPointer make_multi_objective(const StudyCell& cell, const Method&) {
  const train::RunConfig config = cell.double_layer("multi-objective");
  const fs::path made = cell.make_once(config, [&](const train::RunOptions& options) {
    train_multi_objective(config, options).save(config.out / "model");
  });
  auto router = dmoerm_router(cell);  // the rest of that model is gone before ours is there
  reward::DoubleLayerModel model = reward::DoubleLayerModel::load(made, cell.load_options());
  model.router = std::move(router);
  return std::make_unique<reward::Scorer>(std::move(model));
}

}  // namespace dmoerm::study
