#include "dmoerm/data/task_points.h"

#include <set>

#include "dmoerm/core/config.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"

namespace dmoerm::data {
namespace {

std::map<std::string, std::string> texts_by_point(Config& task, const std::string& key,
                                                  const std::set<std::string>& points) {
  std::map<std::string, std::string> texts;
  Config table = task.table(key);
  for (const std::string& point : table.keys()) {
    if (points.count(point) == 0) table.invalid(point, "a point of the task");
    table.get(point, texts[point]);
  }
  return texts;
}

TaskPoints read_task(Config& table) {
  TaskPoints task{.name = table.required<std::string>("name")};
  table.get("points", task.points);
  table.get("aliases", task.aliases);
  if (task.points.empty()) fail("config", "{} is missing or empty", table.name("points"));
  const std::set<std::string> points(task.points.begin(), task.points.end());
  if (points.size() != task.points.size()) table.invalid("points", "every point once");
  task.titles = texts_by_point(table, "titles", points);
  task.definitions = texts_by_point(table, "definitions", points);
  return task;
}

}  // namespace

const std::vector<TaskPoints>& paper_tasks() {
  static const std::vector<TaskPoints> tasks = {
      {"roleplay",
       {"character_setting_and_emotional_investment", "conversational_sense", "empathy_ability",
        "manifestation_of_relationship_traits", "personalized_characteristic_expression", "content_richness"},
       {"角色扮演"}},
      {"chat",
       {"conversational_sense", "proactivity", "emotion_expression", "empathy_ability", "content_richness"},
       {"闲聊"}},
      {"subj_qa",
       {"convincing_ability", "logic", "viewpoint_richness", "breadth_of_knowledge", "question_specific"},
       {"主观知识问答"}},
      {"obj_qa",
       {"correctness", "objectiveness", "reasoning_ability", "logic", "depth_of_knowledge",
        "question_specific"},
       {"客观知识问答"}},
      {"text",
       {"intent_conformity", "expressiveness", "readability", "content_richness", "logic"},
       {"文本创作"}},
  };
  return tasks;
}

std::vector<TaskPoints> load_task_points(const std::filesystem::path& path) {
  return parse_task_points(read_file(path), path.string());
}

std::vector<TaskPoints> parse_task_points(std::string_view text, const std::string& name) {
  Config config = Config::parse(text, name);
  std::vector<TaskPoints> tasks;
  std::set<std::string> names;
  for (Config& table : config.tables("task")) {
    TaskPoints task = read_task(table);
    if (!names.insert(task.name).second) table.invalid("name", "a name that no other task has");
    for (const std::string& alias : task.aliases)
      if (!names.insert(alias).second) table.invalid("aliases", "names that no other task has");
    tasks.push_back(std::move(task));
  }
  for (const char* judges : {"language", "template"}) config.has(judges);
  config.finish();
  if (tasks.empty()) fail("config", "{} has no [[task]]", name);
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
