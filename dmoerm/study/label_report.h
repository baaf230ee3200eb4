// Statistics of capability labels for people: tables on a terminal and as HTML.
#pragma once

#include <string>

#include "dmoerm/label/label_statistics.h"
#include "dmoerm/study/report.h"

namespace dmoerm::study {

Report label_report(const label::LabelStatistics& statistics);
std::string to_text(const label::LabelStatistics& statistics);

}  // namespace dmoerm::study
