// The inner layer alone: one mixture whose experts are the points of all tasks, and no router.
#include <algorithm>

#include "dmoerm/reward/scorer.h"
#include "dmoerm/study/method.h"

namespace dmoerm::study {

ScorerPointer make_one_inner(const StudyCell& cell, const Method&) {
  data::TaskPoints all{"all"};
  for (const data::TaskPoints& task : cell.tasks()) {
    all.aliases.push_back(task.name);
    all.aliases.insert(all.aliases.end(), task.aliases.begin(), task.aliases.end());
    for (const std::string& point : task.points)
      if (std::ranges::find(all.points, point) == all.points.end()) all.points.push_back(point);
  }
  train::RunConfig config = cell.double_layer("one-inner");
  config.tasks = {all};
  config.router.form = "none";
  config.warm_start.reset();  // its phase 1 is one: a plain model of all tasks
  return std::make_unique<reward::Scorer>(
      reward::DoubleLayerModel::load(cell.train(config), cell.load_options()));
}

}  // namespace dmoerm::study
