// What came of labelling, summed for people.
#include <algorithm>

#include "dmoerm/label/labeller.h"

namespace dmoerm::label {
namespace {

using Row = std::vector<std::string>;

const Row kHeader = {"task", "point",    "labels", "kept",       "disagree",
                     "tie",  "unparsed", "failed", "like ranks", "first shown"};

Row row(const std::string& task, const std::string& point, const LabelCounts& counts) {
  const auto reason = [&](const char* name) { return share_text(counts.because(name), counts.labels); };
  return {task,
          point,
          std::to_string(counts.labels),
          share_text(counts.kept, counts.labels),
          reason("disagree"),
          reason("tie"),
          reason("unparsed"),
          reason("failed"),
          share_text(counts.agreeing, counts.ranked),
          share_text(counts.first, counts.answers)};
}

// Columns as wide as their widest cell; the first two to the left, numbers to the right.
std::string table(const std::vector<Row>& rows) {
  std::vector<size_t> width(kHeader.size());
  for (const Row& cells : rows)
    for (size_t i = 0; i < cells.size(); ++i) width[i] = std::max(width[i], cells[i].size());
  std::string text;
  for (const Row& cells : rows) {
    for (size_t i = 0; i < cells.size(); ++i)
      text +=
          i < 2 ? fmt::format("{:<{}}  ", cells[i], width[i]) : fmt::format("{:>{}}  ", cells[i], width[i]);
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

}  // namespace

LabelCounts& LabelSummary::of(const std::string& task, const std::string& point) {
  for (auto& [key, counts] : points)
    if (key.first == task && key.second == point) return counts;
  points.emplace_back(std::pair(task, point), LabelCounts{});
  return points.back().second;
}

std::string LabelSummary::to_text() const {
  std::vector<Row> rows = {kHeader};
  for (const auto& [key, counts] : points) rows.push_back(row(key.first, key.second, counts));
  rows.push_back(row("all", "", total));
  std::string text = table(rows);
  text += fmt::format("{} records, {} labels ({} found in the store), {} calls\n", records, total.labels,
                      reused_labels, calls);
  if (open_labels > 0)
    text += fmt::format("{} labels are not finished: {} calls were not asked\n", open_labels, unasked_calls);
  if (failed_calls > 0)
    text += fmt::format("{} calls failed; --retry-failed asks them again\n", failed_calls);
  if (failed_before > 0)
    text += fmt::format("{} labels failed in earlier runs; --retry-failed asks them again\n", failed_before);
  if (repeated_records > 0)
    text += fmt::format("{} records stood in the data before: skipped\n", repeated_records);
  for (const auto& [task, count] : unknown_tasks)
    text += fmt::format("{} records of task \"{}\" not labelled: no points are known for it\n", count, task);
  return text + judge;
}

}  // namespace dmoerm::label
