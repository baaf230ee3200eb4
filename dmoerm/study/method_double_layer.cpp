// DMoERM and what differs from it in one part: labels, aggregator, number of experts, routing, form of
// phase 1, base.
#include "dmoerm/core/json.h"
#include "dmoerm/reward/scorer.h"
#include "dmoerm/study/method.h"

namespace dmoerm::study {
namespace {

reward::DoubleLayerModel load_dmoerm(const StudyCell& cell) {
  return reward::DoubleLayerModel::load(cell.dmoerm(), cell.load_options());
}

ScorerPointer scorer_of(reward::DoubleLayerModel model) {
  return std::make_unique<reward::Scorer>(std::move(model));
}

// Weights of {"<task>": {"points", "sum"}}, the linear combination that each aggregator of the run started
// from.
void use_linear(reward::DoubleLayerModel& model, const fs::path& run) {
  const Json linear = load_json(run / "linear.json");
  for (reward::InnerModel& inner : model.tasks) {
    inner.aggregator.reset();
    inner.sum_weights = linear.at(inner.task).at("sum").get<std::vector<double>>();
  }
}

// Phase 3 once more over the experts of `model`, in the run's folder.
ScorerPointer with_new_aggregators(const StudyCell& cell, const train::RunConfig& config,
                                   reward::DoubleLayerModel model) {
  const fs::path made = cell.make_once(config, [&](const train::RunOptions& options) {
    train::train_aggregators(model, config, options);
    model.save(config.out / "model");
  });
  model = {};  // before the device holds a second one
  return scorer_of(reward::DoubleLayerModel::load(made, cell.load_options()));
}

}  // namespace

std::optional<reward::TaskRouter> dmoerm_router(const StudyCell& cell) {
  return load_dmoerm(cell).router;
}

ScorerPointer make_dmoerm(const StudyCell& cell, const Method&) {
  return scorer_of(load_dmoerm(cell));
}

ScorerPointer make_linear(const StudyCell& cell, const Method&) {
  reward::DoubleLayerModel model = load_dmoerm(cell);
  use_linear(model, cell.double_layer("dmoerm").out);
  return scorer_of(std::move(model));
}

// Each score divided by its deviation over phase 3's answers, all with the same weight.
ScorerPointer make_sum(const StudyCell& cell, const Method&) {
  reward::DoubleLayerModel model = load_dmoerm(cell);
  const Json linear = load_json(cell.double_layer("dmoerm").out / "linear.json");
  for (reward::InnerModel& inner : model.tasks) {
    inner.aggregator.reset();
    inner.sum_weights.clear();
    for (const double deviation : linear.at(inner.task).at("deviation").get<std::vector<double>>())
      inner.sum_weights.push_back(1 / deviation);
  }
  return scorer_of(std::move(model));
}

ScorerPointer make_human_only(const StudyCell& cell, const Method&) {
  train::RunConfig config = cell.double_layer("human-only");
  config.labels = {cell.human_labels()};
  if (!fs::exists(config.out / "model")) {  // the labels come in after phase 1
    std::vector<std::string> shared = {"warm_start", "router"};
    for (const data::TaskPoints& task : config.tasks) shared.push_back("phase1/" + task.name);
    train::copy_stages(cell.dmoerm().parent_path(), config.out, shared);
  }
  return scorer_of(reward::DoubleLayerModel::load(cell.train(config), cell.load_options()));
}

ScorerPointer make_experts(const StudyCell& cell, const Method& method) {
  reward::DoubleLayerModel model = load_dmoerm(cell);
  for (reward::InnerModel& inner : model.tasks)
    if (std::ssize(inner.experts) > method.count)
      inner.experts.erase(inner.experts.begin() + method.count, inner.experts.end());
  return with_new_aggregators(cell, cell.double_layer(method.name), std::move(model));
}

ScorerPointer make_random_start(const StudyCell& cell, const Method& method) {
  train::RunConfig config = cell.double_layer(method.name);
  config.phase3.start = "random";
  return with_new_aggregators(cell, config, load_dmoerm(cell));
}

ScorerPointer make_soft_top2(const StudyCell& cell, const Method&) {
  reward::DoubleLayerModel model = load_dmoerm(cell);
  if (model.router) model.router->top = std::min<int64_t>(2, std::ssize(model.router->labels));
  return scorer_of(std::move(model));
}

// With a warm start that is trained as the single model is.
ScorerPointer make_warm_start(const StudyCell& cell, const Method& method) {
  train::RunConfig config = cell.double_layer(method.name);
  config.warm_start = cell.single(method.name).phase1;
  return scorer_of(reward::DoubleLayerModel::load(cell.train(config), cell.load_options()));
}

// "lora" where the study's configuration says "full", and the other way round. Phase 1 of the form "lora"
// takes phase 2's LoRA, which the experts go on from.
ScorerPointer make_other_form(const StudyCell& cell, const Method& method) {
  train::RunConfig config = cell.double_layer(method.name);
  config.phase1_form = config.phase1_form == "full" ? "lora" : "full";
  if (config.phase1_form == "lora") {
    config.phase1_lora = config.phase2_lora;
  } else if (config.router.form != "none") {
    config.router.form = "classifier";  // the tasks share no base that another router could stand on
  }
  return scorer_of(reward::DoubleLayerModel::load(cell.train(config), cell.load_options()));
}

}  // namespace dmoerm::study
