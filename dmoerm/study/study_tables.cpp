// Tables of a study's results.
#include <algorithm>
#include <cmath>
#include <set>

#include "dmoerm/metrics/values.h"
#include "dmoerm/study/study_report.h"

namespace dmoerm::study {
namespace {

std::string interval_text(const metrics::Interval& interval) {
  if (!std::isfinite(interval.low)) return "-";
  return fmt::format("[{:.1f}, {:.1f}]", 100 * interval.low, 100 * interval.high);
}

Cell difference_cell(const metrics::PairedDifference& paired) {
  const metrics::SeedMean& difference = paired.difference;
  if (!std::isfinite(difference.mean)) return "-";
  if (!std::isfinite(difference.interval.low)) return fmt::format("{:+.1f}", 100 * difference.mean);
  return fmt::format("{:+.1f} [{:+.1f}, {:+.1f}]", 100 * difference.mean, 100 * difference.interval.low,
                     100 * difference.interval.high);
}

std::string p_text(double p) {
  if (!std::isfinite(p)) return "-";
  return p < 0.001 ? "< 0.001" : fmt::format("{:.3f}", p);
}

double mean_of(const std::vector<double>& values) {
  return values.empty() ? NAN : metrics::mean_value(values);
}

Cell number_cell(double value, const char* format = "{:.2f}") {
  return std::isfinite(value) ? Cell(fmt::format(fmt::runtime(format), value)) : Cell("-");
}

std::vector<double> task_values(const MethodResult& method, const std::string& set, const std::string& task) {
  std::vector<double> values;
  for (const MethodSeed& seed : method.seeds) {
    const auto& tasks = seed.sets.at(set).tasks;
    if (const auto found = tasks.find(task); found != tasks.end()) values.push_back(found->second);
  }
  return values;
}

std::set<std::string> task_names(const SettingResult& setting, const std::string& set) {
  std::set<std::string> names;
  for (const MethodResult& method : setting.methods)
    for (const MethodSeed& seed : method.seeds)
      for (const auto& [task, accuracy] : seed.sets.at(set).tasks) names.insert(task);
  return names;
}

Table overall_table(const SettingResult& setting, const std::string& set, const std::string& reference) {
  Table table;
  const MethodResult* other = setting.find(reference);
  table.columns = {"method",
                   "seeds",
                   "accuracy %",
                   "95% interval",
                   "with the router %",
                   "less " + (other ? other->title : reference),
                   "p",
                   "calibration error %",
                   "r(reward, length)"};
  for (const MethodResult& method : setting.methods) {
    const Comparison accuracy = compare(method, other, set, &SetMeasures::accuracy);
    const std::vector<double> routed = method.values(set, &SetMeasures::routed);
    const bool is_reference = other == &method;
    table.rows.push_back(
        {method.title, std::to_string(method.seeds.size()),
         percent_cell(method.values(set, &SetMeasures::accuracy)), interval_text(accuracy.mean.interval),
         std::isfinite(mean_of(routed)) ? Cell(percent_cell(routed).text) : Cell("-"),
         is_reference ? Cell("-") : difference_cell(accuracy.difference),
         is_reference ? "-" : p_text(accuracy.difference.p),
         number_cell(100 * mean_of(method.values(set, &SetMeasures::calibration_error)), "{:.1f}"),
         number_cell(mean_of(method.values(set, &SetMeasures::length_correlation)))});
  }
  if (const auto length = setting.length_only.find(set); length != setting.length_only.end())
    table.rows.push_back({"the longer answer wins", "-", percent_cell(length->second.accuracy), "-", "-", "-",
                          "-", "-", "1.00"});
  return table;
}

}  // namespace

std::vector<Table> accuracy_tables(const SettingResult& setting, const std::string& set,
                                   const std::string& reference) {
  Table tasks;
  tasks.columns = {"method"};
  const std::set<std::string> names = task_names(setting, set);
  tasks.columns.insert(tasks.columns.end(), names.begin(), names.end());
  for (const MethodResult& method : setting.methods) {
    std::vector<Cell> row = {method.title};
    for (const std::string& task : names) row.push_back(percent_cell(task_values(method, set, task)));
    tasks.rows.push_back(std::move(row));
  }
  if (const auto length = setting.length_only.find(set); length != setting.length_only.end()) {
    std::vector<Cell> row = {"the longer answer wins"};
    for (const std::string& task : names) {
      const auto found = length->second.tasks.find(task);
      row.push_back(found == length->second.tasks.end() ? Cell("-") : percent_cell(found->second));
    }
    tasks.rows.push_back(std::move(row));
  }
  std::vector<Table> tables = {overall_table(setting, set, reference)};
  if (names.size() > 1) tables.push_back(std::move(tasks));
  return tables;
}

Table best_of_n_table(const SettingResult& setting, const std::string& pool) {
  Table table;
  table.columns = {"method"};
  std::vector<int64_t> shown;
  const auto add_row = [&](const std::string& title,
                           const std::vector<const std::vector<metrics::BestOfNPoint>*>& curves) {
    if (shown.empty())
      for (const metrics::BestOfNPoint& point : *curves[0])
        if (point.n > 1 && ((point.n & (point.n - 1)) == 0 || &point == &curves[0]->back())) {
          shown.push_back(&point - curves[0]->data());
          table.columns.push_back(fmt::format("best of {}", point.n));
        }
    std::vector<Cell> row = {title};
    for (const int64_t i : shown) {
      std::vector<double> gold;
      for (const auto* curve : curves) gold.push_back((*curve)[i].gold);
      const metrics::SeedMean mean = metrics::seed_mean(gold);
      if (!std::isfinite(mean.mean)) {  // neither gold nor ranks
        row.emplace_back("-");
        continue;
      }
      const bool several = gold.size() > 1;
      row.emplace_back(several ? fmt::format("{:.3f} ± {:.3f}", mean.mean, mean.deviation)
                               : fmt::format("{:.3f}", mean.mean),
                       mean.mean);
    }
    table.rows.push_back(std::move(row));
  };
  for (const MethodResult& method : setting.methods) {
    std::vector<const std::vector<metrics::BestOfNPoint>*> curves;
    for (const MethodSeed& seed : method.seeds)
      if (const auto found = seed.pools.find(pool); found != seed.pools.end())
        curves.push_back(&found->second.curve);
    if (!curves.empty()) add_row(method.title, curves);
  }
  return table;
}

Table contributions_table(const MethodResult& method) {
  std::map<std::pair<std::string, std::string>, std::vector<double>> shares;
  for (const MethodSeed& seed : method.seeds)
    if (const auto found = seed.facts.find("contributions"); found != seed.facts.end())
      for (const auto& [task, points] : found->items())
        for (const auto& [point, share] : points.items())
          shares[{task, point}].push_back(share.get<double>());
  Table table{{"task / capability point", "share of the weights %"}, {}};
  for (const auto& [name, values] : shares)
    table.rows.push_back({name.first + " / " + name.second, Cell(percent_cell(values).text)});
  return table;
}

}  // namespace dmoerm::study
