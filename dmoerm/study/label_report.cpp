#include "dmoerm/study/label_report.h"

#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"

namespace dmoerm::study {
namespace {

using label::LabelStatistics;
using label::PointPair;
using label::PointStatistics;
using label::share_text;

std::vector<Cell> counts_row(const std::string& name, const label::LabelCounts& counts) {
  const auto reason = [&](const char* why) { return share_text(counts.because(why), counts.labels); };
  return {name,
          std::to_string(counts.labels),
          share_text(counts.kept, counts.labels),
          reason("disagree"),
          reason("tie"),
          reason("unparsed"),
          reason("failed"),
          share_text(counts.first, counts.answers),
          share_text(counts.agreeing, counts.ranked)};
}

Table points_table(const LabelStatistics& statistics) {
  Table table;
  table.columns = {"task / point", "labels", "kept",       "disagree",     "tie",          "unparsed",
                   "failed",       "first",  "like ranks", "distinctness", "nearest point"};
  for (const PointStatistics& point : statistics.points) {
    std::vector<Cell> row = counts_row(point.task + " / " + point.point, point.counts);
    row.emplace_back(point.nearest.empty() ? "-" : fmt::format("{:.2f}", 1 - std::abs(point.correlation)));
    row.emplace_back(point.nearest.empty() ? "-" : point.nearest);
    table.rows.push_back(std::move(row));
  }
  table.rows.push_back(counts_row("all", statistics.total));
  table.rows.back().insert(table.rows.back().end(), {Cell("-"), Cell("-")});
  return table;
}

std::vector<std::string> tasks_of(const LabelStatistics& statistics) {
  std::vector<std::string> tasks;
  for (const PointStatistics& point : statistics.points)
    if (std::find(tasks.begin(), tasks.end(), point.task) == tasks.end()) tasks.push_back(point.task);
  return tasks;
}

// Agreement of each two points of a task; below the diagonal the number of pairs.
Table agreement_table(const LabelStatistics& statistics, const std::string& task) {
  std::vector<std::string> points;
  for (const PointStatistics& point : statistics.points)
    if (point.task == task) points.push_back(point.point);
  Table table;
  table.columns = {task};
  table.columns.insert(table.columns.end(), points.begin(), points.end());
  for (const std::string& row : points) {
    table.rows.push_back({Cell(row)});
    for (const std::string& column : points) {
      const auto pair =
          std::find_if(statistics.pairs.begin(), statistics.pairs.end(), [&](const PointPair& pair) {
            return pair.task == task && ((pair.first == row && pair.second == column) ||
                                         (pair.first == column && pair.second == row));
          });
      table.rows.back().emplace_back(pair == statistics.pairs.end() ? "-"
                                     : pair->first == row           ? share_text(pair->same, pair->both)
                                                                    : std::to_string(pair->both));
    }
  }
  return table;
}

std::string warnings_text(const LabelStatistics& statistics) {
  std::string text;
  for (const std::string& warning : statistics.warnings) text += warning + "\n\n";
  return text;
}

}  // namespace

Report label_report(const LabelStatistics& statistics) {
  Report report;
  report.title = "Capability labels";
  report.intro = fmt::format(
      "{} labels of {}.\n\nA label is kept when the judge names the same reply in both orders. \"first\" is "
      "the share "
      "of its answers that name the reply shown first: 50% is no position bias. \"like ranks\" is the share "
      "of kept "
      "labels on pairs that people ranked differently whose winner people ranked better{}. Distinctness is 1 "
      "less the "
      "largest |correlation| with another point of the task.",
      statistics.total.labels, fmt::join(statistics.judges, ", "),
      statistics.has_ranks ? "" : " (needs the data: --data)");
  report.sections.push_back({"Points", "", {points_table(statistics)}, {}});
  Section agreement{
      "Agreement between points",
      "Above the diagonal: the share of pairs of answers in which both points name the same reply. Below "
      "it: the number of pairs with a kept label in both.",
      {},
      {}};
  for (const std::string& task : tasks_of(statistics))
    agreement.tables.push_back(agreement_table(statistics, task));
  report.sections.push_back(std::move(agreement));
  if (!statistics.warnings.empty())
    report.sections.push_back({"Warnings", warnings_text(statistics), {}, {}});
  return report;
}

std::string to_text(const LabelStatistics& statistics) {
  std::string text =
      fmt::format("{} labels of {}\n", statistics.total.labels, fmt::join(statistics.judges, ", ")) +
      to_text(points_table(statistics)) +
      "\nagreement between points, and below the diagonal the number of pairs\n";
  for (const std::string& task : tasks_of(statistics))
    text += to_text(agreement_table(statistics, task)) + "\n";
  for (const std::string& warning : statistics.warnings) text += "warning: " + warning + "\n";
  return text;
}

}  // namespace dmoerm::study
