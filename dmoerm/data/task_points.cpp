#include "dmoerm/data/task_points.h"

#include <set>

#include "dmoerm/core/config.h"
#include "dmoerm/core/error.h"

namespace dmoerm::data {

const std::vector<TaskPoints>& paper_tasks() {
  static const std::vector<TaskPoints> tasks = {
      {"roleplay",
       {"character_setting_and_emotional_investment", "conversational_sense", "empathy_ability",
        "manifestation_of_relationship_traits", "personalized_characteristic_expression",
        "content_richness"}},
      {"chat",
       {"conversational_sense", "proactivity", "emotion_expression", "empathy_ability", "content_richness"}},
      {"subj_qa",
       {"convincing_ability", "logic", "viewpoint_richness", "breadth_of_knowledge", "question_specific"}},
      {"obj_qa",
       {"correctness", "objectiveness", "reasoning_ability", "logic", "depth_of_knowledge",
        "question_specific"}},
      {"text", {"intent_conformity", "expressiveness", "readability", "content_richness", "logic"}},
  };
  return tasks;
}

std::vector<TaskPoints> load_task_points(const std::filesystem::path& path) {
  Config config = Config::load(path);
  std::vector<TaskPoints> tasks;
  std::set<std::string> names;
  for (Config& table : config.tables("task")) {
    TaskPoints task{.name = table.required<std::string>("name")};
    table.get("points", task.points);
    table.get("aliases", task.aliases);
    if (task.points.empty()) fail("config", "{} is missing or empty", table.name("points"));
    if (std::set(task.points.begin(), task.points.end()).size() != task.points.size())
      table.invalid("points", "every point once");
    if (!names.insert(task.name).second) table.invalid("name", "a name that no other task has");
    for (const std::string& alias : task.aliases)
      if (!names.insert(alias).second) table.invalid("aliases", "names that no other task has");
    tasks.push_back(std::move(task));
  }
  config.finish();
  if (tasks.empty()) fail("config", "{} has no [[task]]", path.string());
  return tasks;
}

const TaskPoints* find_task(const std::vector<TaskPoints>& tasks, const std::string& name) {
  for (const TaskPoints& task : tasks) {
    if (task.name == name) return &task;
    for (const std::string& alias : task.aliases)
      if (alias == name) return &task;
  }
  return name == kAnyTask ? nullptr : find_task(tasks, kAnyTask);
}

}  // namespace dmoerm::data
