// Charts of the rewards of one cell: distributions, calibration, reward against length, the router's
// confusion.
#include <algorithm>
#include <cmath>
#include <set>

#include "dmoerm/study/rewards.h"
#include "dmoerm/study/study_report.h"

namespace dmoerm::study {
namespace {

constexpr int kBins = 30;
constexpr double kWidest = 3;         // deviations that a histogram shows
constexpr size_t kMostPoints = 1500;  // of a cloud

struct MethodRewards {
  std::string title;
  std::vector<RecordRewards> rewards;
};

// All rewards in deviations.
std::vector<double> standardised(const std::vector<RecordRewards>& rewards) {
  std::vector<double> all;
  for (const RecordRewards& record : rewards)
    all.insert(all.end(), record.rewards.begin(), record.rewards.end());
  double mean = 0, squares = 0;
  for (const double reward : all) mean += reward / static_cast<double>(all.size());
  for (const double reward : all)
    squares += (reward - mean) * (reward - mean) / static_cast<double>(all.size());
  const double deviation = squares > 0 ? std::sqrt(squares) : 1;
  for (double& reward : all) reward = (reward - mean) / deviation;
  return all;
}

Chart distribution_chart(const std::vector<MethodRewards>& methods) {
  Chart chart{"Distribution of rewards", "reward (deviations)", "share of answers %"};
  chart.kind = Chart::Kind::Steps;
  chart.caption = fmt::format("Rewards beyond {} deviations stand in the outer bins.", kWidest);
  for (const MethodRewards& method : methods) {
    const std::vector<double> rewards = standardised(method.rewards);
    std::vector<double> shares(kBins, 0);
    for (const double reward : rewards) {
      const int bin = static_cast<int>(std::floor((reward + kWidest) / (2 * kWidest) * kBins));
      shares[std::clamp(bin, 0, kBins - 1)] += 100.0 / static_cast<double>(rewards.size());
    }
    Series series{method.title, {}, {}};
    for (int bin = 0; bin < kBins; ++bin)
      series.points.emplace_back(-kWidest + 2 * kWidest * bin / kBins, shares[bin]);
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart calibration_chart(const std::vector<EvaluationRecord>& records,
                        const std::vector<MethodRewards>& methods) {
  Chart chart{"Calibration", "predicted probability that the preferred answer is better",
              "share in which it is"};
  chart.diagonal = true;
  chart.caption =
      "Reward differences through a sigmoid, each method's scaled by the factor that suits it best.";
  for (const MethodRewards& method : methods) {
    std::vector<double> differences;
    for (size_t i = 0; i < records.size(); ++i)
      metrics::add_differences(method.rewards[i].rewards, records[i].ranks, differences);
    if (differences.empty()) continue;
    const double scale = metrics::best_scale(differences);
    for (double& difference : differences) difference *= scale;
    Series series{method.title, {}, {}};
    for (const metrics::CalibrationBin& bin : metrics::calibration(differences).bins)
      series.points.emplace_back(bin.predicted, bin.right);
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart length_chart(const std::vector<EvaluationRecord>& records, const std::vector<MethodRewards>& methods) {
  Chart chart{"Reward against length", "characters of the answer", "reward (deviations)"};
  chart.kind = Chart::Kind::Points;
  std::vector<double> lengths;
  for (const EvaluationRecord& record : records)
    lengths.insert(lengths.end(), record.lengths.begin(), record.lengths.end());
  const size_t step = (lengths.size() + kMostPoints - 1) / kMostPoints;
  if (step > 1) chart.caption = fmt::format("One of {} answers is drawn.", step);
  for (const MethodRewards& method : methods) {
    const std::vector<double> rewards = standardised(method.rewards);
    Series series{method.title, {}, {}};
    for (size_t i = 0; i < lengths.size(); i += step) series.points.emplace_back(lengths[i], rewards[i]);
    chart.series.push_back(std::move(series));
  }
  return chart;
}

// Percent of each task's records by the task that the router chose.
std::vector<Chart> confusion_chart(const std::vector<EvaluationRecord>& records,
                                   const std::vector<RecordRewards>& rewards) {
  std::set<std::string> tasks, routes;
  std::map<std::pair<std::string, std::string>, double> counts;
  std::map<std::string, double> totals;
  for (size_t i = 0; i < records.size(); ++i) {
    if (rewards[i].routed.empty()) return {};
    tasks.insert(records[i].task);
    routes.insert(rewards[i].route);
    counts[{records[i].task, rewards[i].route}] += 1;
    totals[records[i].task] += 1;
  }
  Chart chart{"Router: % of the row's prompts sent to the column's model", "sent to", "task"};
  chart.kind = Chart::Kind::Matrix;
  chart.rows.assign(tasks.begin(), tasks.end());
  chart.categories.assign(routes.begin(), routes.end());
  for (const std::string& task : tasks) {
    chart.cells.emplace_back();
    for (const std::string& route : routes)
      chart.cells.back().push_back(100 * counts[{task, route}] / totals[task]);
  }
  return {chart};
}

}  // namespace

std::vector<Chart> reward_charts(const StudyCell& cell, const EvaluationSet& set,
                                 const std::vector<std::string>& names) {
  const std::vector<EvaluationRecord> records = load_records(set.files);
  std::vector<MethodRewards> methods;
  std::vector<Chart> confusion;
  for (const std::string& name : names) {
    const Method& method = find_method(name);
    const MethodRun run(cell, method);
    if (!run.finished()) continue;
    methods.push_back({method.title, load_rewards(run.rewards_file(set))});
    if (name == "dmoerm") confusion = confusion_chart(records, methods.back().rewards);
  }
  if (methods.empty()) return {};
  std::vector<Chart> charts = {distribution_chart(methods), calibration_chart(records, methods)};
  const std::vector<MethodRewards> ends = {methods.front(), methods.back()};
  charts.push_back(length_chart(records, methods.size() > 1 ? ends : methods));
  charts.insert(charts.end(), confusion.begin(), confusion.end());
  return charts;
}

}  // namespace dmoerm::study
