// Evaluation as JSON and as a table of text.
#include <algorithm>
#include <set>

#include "dmoerm/metrics/evaluation.h"

namespace dmoerm::metrics {
namespace {

int64_t num_prompts(const std::vector<PromptPairs>& pairs) {
  std::set<uint64_t> prompts;
  for (const auto& one : pairs) prompts.insert(one.prompt);
  return static_cast<int64_t>(prompts.size());
}

// Adds "<name>accuracy" and its interval, null where there is no pair.
void add_accuracy(Json& row, const std::string& name, const std::vector<PromptPairs>& pairs, uint64_t seed) {
  const auto count = total(pairs);
  row[name + "accuracy"] = count.pairs ? Json(count.accuracy()) : Json();
  const auto interval = bootstrap_interval(pairs, seed);
  row[name + "interval"] = count.pairs ? Json({interval.low, interval.high}) : Json();
}

Json row_json(const TaskEvaluation& task, uint64_t seed) {
  Json row = {{"task", task.task},
              {"records", task.records},
              {"prompts", num_prompts(task.accuracy)},
              {"pairs", total(task.accuracy).pairs}};
  add_accuracy(row, "", task.accuracy, seed);
  add_accuracy(row, "length_", task.length, seed);
  if (!task.routed.empty()) add_accuracy(row, "routed_", task.routed, seed);
  if (task.router_records > 0)
    row["router_accuracy"] =
        static_cast<double>(task.router_right) / static_cast<double>(task.router_records);
  return row;
}

std::string percent(const Json& row, const std::string& key) {
  return row.contains(key) && !row[key].is_null() ? fmt::format("{:.1f}", 100 * row[key].get<double>()) : "-";
}

std::string accuracy_cell(const Json& row, const std::string& name) {
  const auto text = percent(row, name + "accuracy");
  if (text == "-") return text;
  const auto& interval = row[name + "interval"];
  return fmt::format("{} [{:.1f}, {:.1f}]", text, 100 * interval[0].get<double>(),
                     100 * interval[1].get<double>());
}

// Columns as wide as their widest cell; the first to the left, the others to the right.
std::string layout(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths(lines[0].size(), 0);
  for (const auto& line : lines)
    for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  std::string text;
  for (const auto& line : lines) {
    text += fmt::format("{:<{}}", line[0], widths[0]);
    for (size_t c = 1; c < line.size(); ++c) text += fmt::format("  {:>{}}", line[c], widths[c]);
    text += "\n";
  }
  return text;
}

}  // namespace

Json Evaluation::to_json(uint64_t seed) const {
  Json json = {{"tasks", Json::array()},
               {"bad_lines", bad_lines},
               {"prompts_cut", encoded.prompts_cut},
               {"answers_cut", encoded.answers_cut},
               {"seconds", seconds},
               {"tokens", tokens}};
  json["overall"] = row_json(overall, seed);
  json["overall"].erase("task");
  for (const auto& task : tasks) json["tasks"].push_back(row_json(task, seed));
  return json;
}

std::string Evaluation::to_table(uint64_t seed) const {
  const bool routed = !overall.routed.empty();
  std::vector<std::vector<std::string>> lines = {{"task", "prompts", "pairs", "accuracy %", "length only %"}};
  if (routed) lines[0].insert(lines[0].begin() + 4, {"with the router %", "router right %"});
  const auto add = [&](const std::string& name, const Json& row) {
    std::vector<std::string> line = {name, row["prompts"].dump(), row["pairs"].dump(),
                                     accuracy_cell(row, "")};
    if (routed) {
      line.push_back(accuracy_cell(row, "routed_"));
      line.push_back(percent(row, "router_accuracy"));
    }
    line.push_back(percent(row, "length_accuracy"));
    lines.push_back(line);
  };
  const Json json = to_json(seed);
  for (const auto& row : json["tasks"]) {
    const auto name = row["task"].get<std::string>();
    add(name.empty() ? "(no task)" : name, row);
  }
  add("all", json["overall"]);
  return layout(lines);
}

}  // namespace dmoerm::metrics
