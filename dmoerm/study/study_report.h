// A study's results for people: a table on the terminal, and one HTML file with tables and charts.
#pragma once

#include <string>

#include "dmoerm/study/report.h"
#include "dmoerm/study/study_results.h"

namespace dmoerm::study {

// Methods by accuracy, of every setting and evaluation set.
std::string to_text(const StudyResults& results, const StudyConfig& study);
Report study_report(const StudyResults& results, const StudyConfig& study);

// The parts of the report, by file.
std::vector<Table> accuracy_tables(const SettingResult& setting, const std::string& set,
                                   const std::string& reference);  // study_tables.cpp
Table best_of_n_table(const SettingResult& setting, const std::string& pool);
Table contributions_table(const MethodResult& method);
Section training_section(const std::filesystem::path& run);  // training_charts.cpp
// Charts of the results; those that have nothing to show are left out. study_charts.cpp
std::vector<Chart> accuracy_charts(const SettingResult& setting, const std::string& set);
std::vector<Chart> best_of_n_charts(const SettingResult& setting, const std::string& pool);
std::vector<Chart> disturbance_charts(const SettingResult& setting);
std::vector<Chart> setting_charts(const StudyResults& results, const std::string& set);
// Of one cell's rewards: distributions, calibration, reward against length, the router's confusion.
// reward_charts.cpp
std::vector<Chart> reward_charts(const StudyCell& cell, const EvaluationSet& set,
                                 const std::vector<std::string>& methods);

// The methods that a chart of few lines shows, in this order.
const std::vector<std::string>& charted_methods();

}  // namespace dmoerm::study
