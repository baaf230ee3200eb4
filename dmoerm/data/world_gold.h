// What is good in the synthetic world: the capability points as formulas over word counts, and the gold
// reward.
#pragma once

#include <string>
#include <vector>

#include "dmoerm/data/world_words.h"

namespace dmoerm::data {

// Error for a point that the world does not have.
double raw_quality(const std::string& point, const AnswerCounts& counts);

// Standardised capabilities of a task, in the order of its points -> gold, not standardised.
double gold_formula(size_t task, const std::vector<double>& capabilities);

}  // namespace dmoerm::data
