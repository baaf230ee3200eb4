// Which capability points belong to which task.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::data {

// The name of a task that takes every record which no other task names.
inline constexpr const char* kAnyTask = "*";

struct TaskPoints {
  std::string name;
  std::vector<std::string> points = {};
  std::vector<std::string> aliases = {};  // other task names in the data that are this task
  // By point, for judges that read: what the prompt calls it, and what it means. Not every point needs them.
  std::map<std::string, std::string> titles = {}, definitions = {};
};

// The five tasks of the DMoERM paper.
const std::vector<TaskPoints>& paper_tasks();

// A tasks file: one [[task]] table each, with `name` ("*": any other), `points` and optional `aliases`,
// `titles` and `definitions`. Its `language` and [template] are for judges that read (label/judge_prompts.h).
// Error for a name or alias that stands twice, a task without points, a point that stands twice in a task, a
// title or definition of a point that the task does not have.
std::vector<TaskPoints> load_task_points(const std::filesystem::path& path);
std::vector<TaskPoints> parse_task_points(std::string_view text, const std::string& name);

// The task that has this name or alias, else the one named kAnyTask, else null.
const TaskPoints* find_task(const std::vector<TaskPoints>& tasks, const std::string& name);

}  // namespace dmoerm::data
