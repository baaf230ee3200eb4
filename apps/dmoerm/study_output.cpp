#include "apps/dmoerm/study_output.h"

#include <iostream>

#include "apps/dmoerm/console.h"
#include "dmoerm/core/file.h"

namespace dmoerm::app {

void show_study(const study::StudyConfig& study) {
  const study::StudyResults results = study::collect_results(study);
  std::cout << study::to_text(results, study);
  write_file_atomically(study.out / "results.json", dump_json(study::to_json(results, study), 2) + "\n");
  write_file_atomically(study.out / "results.csv", study::to_csv(results));
  const auto report = study.out / "report.html";
  study::write_report(report, study::study_report(results, study));
  std::cout << "Report: " << report.string() << "\n";
  if (!results.missing.empty()) throw ExitStatus{1};
}

}  // namespace dmoerm::app
