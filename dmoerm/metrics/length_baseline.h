// The length-only baseline: the longer answer is taken to be better. What a reward model must beat.
#pragma once

#include <vector>

#include "dmoerm/data/preference_record.h"

namespace dmoerm::metrics {

// Length of each answer: characters (code points) of its text, or tokens where the record holds ids.
std::vector<double> answer_lengths(const data::PreferenceRecord& record);

}  // namespace dmoerm::metrics
