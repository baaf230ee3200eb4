#include "dmoerm/study/study_report.h"

#include <algorithm>
#include <cmath>

namespace dmoerm::study {
namespace {

std::string heading(const SettingResult& setting, const std::string& set) {
  return setting.setting.empty() ? set : set + " (" + setting.setting + ")";
}

// The sets that something is measured on, in the study's order: the first is what the verdict is about.
template <typename Measures>
std::vector<std::string> measured(const SettingResult& setting, std::vector<std::string> names,
                                  std::map<std::string, Measures> MethodSeed::*of) {
  std::erase_if(names, [&](const std::string& name) {
    const auto has = [&](const MethodSeed& seed) { return (seed.*of).contains(name); };
    return std::ranges::none_of(
        setting.methods, [&](const MethodResult& method) { return std::ranges::any_of(method.seeds, has); });
  });
  return names;
}

std::vector<std::string> set_names(const SettingResult& setting, const StudyConfig& study) {
  return measured(setting, study.evaluation_names(), &MethodSeed::sets);
}

std::vector<std::string> pool_names(const SettingResult& setting, const StudyConfig& study) {
  return measured(setting, study.pool_names(), &MethodSeed::pools);
}

void append(std::vector<Chart>& charts, std::vector<Chart> more) {
  for (Chart& chart : more) charts.push_back(std::move(chart));
}

// "+15.8 points to "Y" (p = 0.01)"; "" where no seed has a value of both.
std::string points_to(const MethodResult& method, const MethodResult& other, const std::string& set) {
  const metrics::PairedDifference paired = compare(method, &other, set, &SetMeasures::accuracy).difference;
  if (!std::isfinite(paired.difference.mean)) return "";
  std::string text = fmt::format("{:+.1f} points to \"{}\"", 100 * paired.difference.mean, other.title);
  if (std::isfinite(paired.p)) text += fmt::format(" (p = {:.2g})", paired.p);
  return text;
}

// "X wins with 76.5%, 15.8 points above Y": the first setting in a sentence.
std::string verdict(const StudyResults& results, const StudyConfig& study) {
  if (results.settings.empty() || results.settings[0].methods.empty()) return "Nothing is finished yet.";
  const SettingResult& setting = results.settings[0];
  const std::string set = set_names(setting, study).at(0);
  const MethodResult* best = nullptr;
  double highest = -1;
  for (const MethodResult& method : setting.methods) {
    const double mean = metrics::seed_mean(method.values(set, &SetMeasures::accuracy)).mean;
    if (mean > highest) highest = mean, best = &method;  // never for NaN
  }
  if (!best) return fmt::format("{} holds no two answers of different rank.", heading(setting, set));
  std::string text = fmt::format("On {}, the highest accuracy is that of \"{}\": {:.1f}%",
                                 heading(setting, set), best->title, 100 * highest);
  const MethodResult* reference = setting.find(study.reference);
  if (reference && reference != best) {
    const std::string points = points_to(*best, *reference, set);
    if (!points.empty()) text += ", " + points;
  }
  const MethodResult* single = setting.find("single");
  if (reference && single && single != reference) {
    const std::string points = points_to(*reference, *single, set);
    if (!points.empty()) text += fmt::format(". \"{}\" is {}", reference->title, points);
  }
  return text + ".";
}

std::string what_was_compared(const StudyResults& results, const StudyConfig& study) {
  std::string text = fmt::format("{} methods, {} seed{}, {} setting{}. ", study.methods.size(),
                                 study.seeds.size(), study.seeds.size() == 1 ? "" : "s",
                                 results.settings.size(), results.settings.size() == 1 ? "" : "s");
  text += study.world ? fmt::format(
                            "Synthetic world: {} training lists a task with noisy human ranks, {} test lists "
                            "a task with exact ones.",
                            study.world->train, study.world->test)
                      : "Data and models as in " + study.double_layer.string() + " and " +
                            study.single.string() + ".";
  if (!results.missing.empty())
    text += fmt::format("\n\nNot finished: {}.", fmt::join(results.missing, "; "));
  return text;
}

constexpr const char* kHowToRead =
    "Accuracy: share of pairs of different rank that the rewards put in the right order, equal rewards one "
    "half; by the "
    "true task's model, and with the router's choice where there is a router. ± is the deviation over seeds, "
    "the "
    "interval that of the mean (Student's t). Differences and p values are paired by seed. Calibration "
    "error: after "
    "the best scale of the rewards.";

Section set_section(const SettingResult& setting, const std::string& set, const StudyConfig& study) {
  return {"Accuracy on " + heading(setting, set), kHowToRead, accuracy_tables(setting, set, study.reference),
          accuracy_charts(setting, set)};
}

Section pool_section(const SettingResult& setting, const std::string& pool) {
  return {"Best-of-n on " + heading(setting, pool),
          "Gold reward of the answer that each method prefers among n, by the unbiased estimator; where no "
          "gold is known, "
          "how often it is one of the best rank.",
          {best_of_n_table(setting, pool)},
          best_of_n_charts(setting, pool)};
}

void add_cell_sections(const StudyConfig& study, Report& report) {
  const StudyCell cell(study, study.conditions().front(), torch::kCPU, torch::kFloat32);
  const EvaluationSet set = cell.evaluations().front();
  if (!fs::exists(set.files[0])) return;
  report.sections.push_back({fmt::format("Rewards of seed {}", cell.condition().seed),
                             "",
                             {},
                             reward_charts(cell, set, {"single", "per_task", "multi_objective", "dmoerm"})});
  report.sections.push_back(training_section(cell.double_layer("dmoerm").out));
}

}  // namespace

std::string to_text(const StudyResults& results, const StudyConfig& study) {
  std::string text;
  for (const SettingResult& setting : results.settings) {
    for (const std::string& set : set_names(setting, study)) {
      text += "Accuracy on " + heading(setting, set) + "\n";
      for (const Table& table : accuracy_tables(setting, set, study.reference)) text += to_text(table) + "\n";
    }
    for (const std::string& pool : pool_names(setting, study))
      text +=
          "Best-of-n on " + heading(setting, pool) + "\n" + to_text(best_of_n_table(setting, pool)) + "\n";
  }
  for (const std::string& missing : results.missing) text += "not finished: " + missing + "\n";
  return text;
}

Report study_report(const StudyResults& results, const StudyConfig& study) {
  Report report{
      "Reward models compared", verdict(results, study) + "\n\n" + what_was_compared(results, study), {}};
  for (const SettingResult& setting : results.settings)
    for (const std::string& set : set_names(setting, study))
      report.sections.push_back(set_section(setting, set, study));
  if (results.settings.size() > 1 && !set_names(results.settings[0], study).empty())
    report.sections.push_back(
        {"Settings", "", {}, setting_charts(results, set_names(results.settings[0], study).front())});
  for (const SettingResult& setting : results.settings)
    for (const std::string& pool : pool_names(setting, study))
      report.sections.push_back(pool_section(setting, pool));
  for (const SettingResult& setting : results.settings) {
    Section section{
        "Tasks and capabilities" + (setting.setting.empty() ? "" : " (" + setting.setting + ")"),
        "What each capability point weighs in the linear combination that the aggregator starts from.",
        {},
        {}};
    append(section.charts, disturbance_charts(setting));
    if (const MethodResult* method = setting.find("dmoerm"))
      section.tables.push_back(contributions_table(*method));
    report.sections.push_back(std::move(section));
  }
  add_cell_sections(study, report);
  return report;
}

}  // namespace dmoerm::study
