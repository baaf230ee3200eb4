// Measures of text that stand in for a judge where there is none: each is one row of a table in measures.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/label/text_statistics.h"

namespace dmoerm::label {

// A question and one answer to it; more is better.
struct Measure {
  std::string name;     // the capability point
  std::string formula;  // for people
  double (*value)(const TextStatistics& question, const TextStatistics& answer);
};

const std::vector<Measure>& measures();
const Measure* find_measure(std::string_view name);  // null when there is none

}  // namespace dmoerm::label
