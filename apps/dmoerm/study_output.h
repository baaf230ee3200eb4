// What a finished study leaves: tables on the terminal, results.json, results.csv and report.html in its
// folder.
#pragma once

#include "dmoerm/study/study_report.h"

namespace dmoerm::app {

// Ends with status 1 when something of the study is missing.
void show_study(const study::StudyConfig& study);

}  // namespace dmoerm::app
