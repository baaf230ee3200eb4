#include "dmoerm/reward/double_layer_model.h"

#include <algorithm>
#include <set>

#include "dmoerm/data/task_points.h"
#include "dmoerm/text/chat_format.h"

namespace dmoerm::reward {
namespace {

// What a kind of model asks of each of its tasks.
void check_kind(const std::string& kind, const InnerModel& inner) {
  const bool combined = inner.aggregator || !inner.sum_weights.empty();
  if (kind == "double_layer" && (inner.experts.empty() || !combined))
    fail("model",
         "task \"{}\" has {} experts and {} aggregator, expected both in a model of kind \"double_layer\"",
         inner.task, inner.experts.size(), combined ? "an" : "no");
  if (kind != "double_layer" && (inner.experts.size() > 1 || combined))
    fail("model",
         "task \"{}\" has {} experts, expected at most one and no aggregator in a model of kind \"{}\"",
         inner.task, inner.experts.size(), kind);
}

}  // namespace

const InnerModel* DoubleLayerModel::find(const std::string& task) const {
  for (const auto& inner : tasks)
    if (inner.task == task || std::count(inner.aliases.begin(), inner.aliases.end(), task)) return &inner;
  return nullptr;
}

const InnerModel* DoubleLayerModel::find_for_records(const std::string& task) const {
  if (task.empty()) return nullptr;
  const InnerModel* inner = find(task);
  return inner ? inner : find(data::kAnyTask);
}

void DoubleLayerModel::check() const {
  static const std::set<std::string> kinds = {"double_layer", "per_task", "single"};
  if (!kinds.count(kind))
    fail("model", "kind \"{}\" is not known, expected one of: {}", kind, fmt::join(kinds, ", "));
  text::ChatFormat::check_name(chat_format);
  if (tasks.empty()) fail("model", "it has no tasks, expected at least one");
  if (kind == "single" && (tasks.size() > 1 || router))
    fail("model", "{} tasks{}, expected one task and no router in a model of kind \"single\"", tasks.size(),
         router ? " and a router" : "");

  std::set<std::string> names;
  for (const auto& inner : tasks) {
    inner.check();
    check_kind(kind, inner);
    if (!names.insert(inner.task).second) fail("model", "two tasks are called \"{}\"", inner.task);
    for (const auto& alias : inner.aliases)
      if (!names.insert(alias).second) fail("model", "two tasks are called \"{}\"", alias);
    std::set<std::string> points;
    for (const auto& expert : inner.experts)
      if (!points.insert(expert.point).second)
        fail("model", "task \"{}\" has two experts called \"{}\"", inner.task, expert.point);
  }
  if (!router) return;
  for (const auto& label : router->labels)
    if (!find(label)) fail("model", "the router's label \"{}\" is no task of the model", label);
}

}  // namespace dmoerm::reward
