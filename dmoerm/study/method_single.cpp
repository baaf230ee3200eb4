// Plain reward models: one for all tasks, and one for each.
#include "dmoerm/reward/model_manifest.h"
#include "dmoerm/reward/scorer.h"
#include "dmoerm/study/method.h"

namespace dmoerm::study {

ScorerPointer make_single(const StudyCell& cell, const Method&) {
  return std::make_unique<reward::Scorer>(
      reward::load_classifier(cell.single_member(0), {}, cell.load_options()));
}

// Each trained on all of its task's records. Where the task is not said, DMoERM's router chooses.
ScorerPointer make_per_task(const StudyCell& cell, const Method&) {
  reward::DoubleLayerModel model;
  model.kind = "per_task";
  for (const data::TaskPoints& task : cell.tasks()) {
    train::RunConfig config = cell.single("per-task/" + reward::directory_name(task.name));
    config.data = {{{cell.task_records(task)}}};
    reward::DoubleLayerModel own = reward::load_classifier(cell.train(config), {}, cell.load_options());
    model.chat_format = own.chat_format;
    model.max_tokens = own.max_tokens;
    model.tokenizer = own.tokenizer;
    reward::InnerModel& inner = own.tasks[0];
    inner.task = task.name;
    inner.aliases = task.aliases;
    model.tasks.push_back(std::move(inner));
  }
  model.router = dmoerm_router(cell);
  return std::make_unique<reward::Scorer>(std::move(model));
}

}  // namespace dmoerm::study
