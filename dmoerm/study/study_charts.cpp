// Charts of a study's results over methods, tasks, settings and n.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "dmoerm/study/study_report.h"

namespace dmoerm::study {
namespace {

std::vector<const MethodResult*> shown_methods(const SettingResult& setting) {
  std::vector<const MethodResult*> result;
  for (const std::string& name : charted_methods())
    if (const MethodResult* method = setting.find(name)) result.push_back(method);
  return result;
}

// Mean over seeds of a curve's point, with the 95% interval over seeds, or the bootstrap band of the only
// seed.
template <typename Value, typename Band>
Series curve_series(const MethodResult& method, const std::string& pool, Value value, Band band) {
  Series series{method.title, {}, {}};
  std::vector<const std::vector<metrics::BestOfNPoint>*> curves;
  for (const MethodSeed& seed : method.seeds)
    if (const auto found = seed.pools.find(pool); found != seed.pools.end())
      curves.push_back(&found->second.curve);
  if (curves.empty()) return series;
  for (size_t i = 0; i < curves[0]->size(); ++i) {
    std::vector<double> values;
    for (const auto* curve : curves) values.push_back((*curve)[i].*value);
    const metrics::SeedMean mean = metrics::seed_mean(values);
    const metrics::Interval interval = values.size() > 1 ? mean.interval : (*curves[0])[i].*band;
    series.points.emplace_back(std::sqrt((*curves[0])[i].kl), mean.mean);
    series.bands.emplace_back(interval.low, interval.high);
  }
  return series;
}

Chart overall_chart(const SettingResult& setting, const std::string& set) {
  Chart chart{"Accuracy by method", "accuracy %", ""};
  chart.kind = Chart::Kind::Rows;
  chart.caption = "Bars: 95% interval over seeds.";
  Series series;
  const auto add = [&](const std::string& title, const metrics::SeedMean& mean) {
    series.points.emplace_back(mean.mean, chart.rows.size());
    const bool known = std::isfinite(mean.interval.low);
    series.bands.emplace_back(known ? mean.interval.low : mean.mean, known ? mean.interval.high : mean.mean);
    chart.rows.push_back(title);
  };
  for (const MethodResult& method : setting.methods) {
    std::vector<double> values = method.values(set, &SetMeasures::accuracy);
    for (double& value : values) value *= 100;
    if (!values.empty()) add(method.title, metrics::seed_mean(values));
  }
  if (const auto length = setting.length_only.find(set); length != setting.length_only.end()) {
    const double accuracy = 100 * length->second.accuracy;
    add("the longer answer wins", {accuracy, NAN, {NAN, NAN}});
  }
  chart.series.push_back(std::move(series));
  return chart;
}

Chart task_chart(const SettingResult& setting, const std::string& set) {
  Chart chart{"Accuracy by task", "", "accuracy %"};
  chart.kind = Chart::Kind::Bars;
  chart.caption = "Error bars: 95% interval over seeds.";
  std::set<std::string> tasks;
  for (const MethodResult* method : shown_methods(setting))
    for (const MethodSeed& seed : method->seeds)
      for (const auto& [task, accuracy] : seed.sets.at(set).tasks) tasks.insert(task);
  chart.categories.assign(tasks.begin(), tasks.end());
  for (const MethodResult* method : shown_methods(setting)) {
    Series series{method->title, {}, {}};
    for (size_t i = 0; i < chart.categories.size(); ++i) {
      std::vector<double> values;
      for (const MethodSeed& seed : method->seeds)
        if (const auto& found = seed.sets.at(set).tasks; found.contains(chart.categories[i]))
          values.push_back(100 * found.at(chart.categories[i]));
      if (values.empty()) continue;
      const metrics::SeedMean mean = metrics::seed_mean(values);
      series.points.emplace_back(i, mean.mean);
      series.bands.emplace_back(mean.interval.low, mean.interval.high);
      if (std::isfinite(mean.interval.low))  // no share lies outside
        series.bands.back() = {std::max(0.0, mean.interval.low), std::min(100.0, mean.interval.high)};
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

// What settings differ in.
struct Axis {
  const char* label;
  double Condition::*value;
};

constexpr Axis kAxes[] = {{"conflict of the tasks", &Condition::conflict},
                          {"share of the training prompts", &Condition::size},
                          {"share of rankings turned round", &Condition::rank_noise}};

// Settings that differ along the axis alone, in its order; by what the others are ("rank noise 0.2").
std::map<std::string, std::map<double, const SettingResult*>> lines_along(const Axis& axis,
                                                                          const StudyResults& results) {
  std::map<std::string, std::map<double, const SettingResult*>> lines;
  for (const SettingResult& setting : results.settings) {
    Condition others = {1, setting.size, setting.rank_noise, setting.conflict};
    const double place = std::exchange(others.*axis.value, Condition().*axis.value);
    lines[others.setting()][place] = &setting;
  }
  return lines;
}

}  // namespace

const std::vector<std::string>& charted_methods() {
  static const std::vector<std::string> names = {"single",          "ensemble_mean", "per_task",
                                                 "multi_objective", "armorm",        "dmoerm"};
  return names;
}

std::vector<Chart> accuracy_charts(const SettingResult& setting, const std::string& set) {
  return {overall_chart(setting, set), task_chart(setting, set)};
}

std::vector<Chart> best_of_n_charts(const SettingResult& setting, const std::string& pool) {
  Chart gold{"Best-of-n: gold reward", "square root of the KL divergence (nats)", "gold reward"};
  Chart proxy{"Best-of-n: the reward model's own reward", "square root of the KL divergence (nats)",
              "proxy reward (deviations)"};
  gold.caption = proxy.caption = "Shaded: 95% over seeds, over prompts where there is one seed.";
  for (const MethodResult* method : shown_methods(setting)) {
    gold.series.push_back(
        curve_series(*method, pool, &metrics::BestOfNPoint::gold, &metrics::BestOfNPoint::gold_band));
    proxy.series.push_back(
        curve_series(*method, pool, &metrics::BestOfNPoint::proxy, &metrics::BestOfNPoint::proxy_band));
  }
  if (const auto ideal = setting.ideal.find(pool); ideal != setting.ideal.end()) {
    Series series{"chosen by gold itself", {}, {}};
    for (const metrics::BestOfNPoint& point : ideal->second)
      series.points.emplace_back(std::sqrt(point.kl), point.gold);
    gold.series.push_back(std::move(series));
  }
  return {gold, proxy};
}

std::vector<Chart> disturbance_charts(const SettingResult& setting) {
  const MethodResult* method = setting.find("per_task");
  if (!method || method->seeds.empty()) return {};
  Chart chart{"Multi-task disturbance: accuracy %, trained on the row's task, tested on the column's",
              "tested on", "trained on"};
  chart.kind = Chart::Kind::Matrix;
  chart.caption = "Below 50 one task's judgement is the opposite of another's. Mean over seeds.";
  chart.categories = chart.rows =
      method->seeds[0].facts.at("disturbance").at("tasks").get<std::vector<std::string>>();
  const size_t count = chart.rows.size();
  chart.cells.assign(count, std::vector<double>(count, 0));
  for (const MethodSeed& seed : method->seeds)
    for (size_t i = 0; i < count; ++i)
      for (size_t j = 0; j < count; ++j) {
        const Json& cell = seed.facts.at("disturbance").at("accuracy").at(i).at(j);
        chart.cells[i][j] +=
            cell.is_number() ? 100 * cell.get<double>() / static_cast<double>(method->seeds.size()) : NAN;
      }
  return {chart};
}

std::vector<Chart> setting_charts(const StudyResults& results, const std::string& set) {
  std::vector<Chart> charts;
  for (const Axis& axis : kAxes)
    for (const auto& [others, settings] : lines_along(axis, results)) {
      if (settings.size() < 2) continue;
      Chart chart{fmt::format("Accuracy by {}{}", axis.label, others.empty() ? "" : " (" + others + ")"),
                  axis.label, "accuracy %"};
      chart.caption = "Shaded: 95% interval over seeds.";
      for (const std::string& name : charted_methods()) {
        Series series{find_method(name).title, {}, {}};
        for (const auto& [place, setting] : settings) {
          const MethodResult* method = setting->find(name);
          if (!method) continue;
          std::vector<double> values;
          for (const double accuracy : method->values(set, &SetMeasures::accuracy))
            values.push_back(100 * accuracy);
          if (values.empty()) continue;
          const metrics::SeedMean mean = metrics::seed_mean(values);
          series.points.emplace_back(place, mean.mean);
          series.bands.emplace_back(mean.interval.low, mean.interval.high);
        }
        if (!series.points.empty()) chart.series.push_back(std::move(series));
      }
      charts.push_back(std::move(chart));
    }
  return charts;
}

}  // namespace dmoerm::study
