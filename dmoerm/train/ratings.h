// Absolute ratings from pairwise capability labels. R answers, P objectives.
#pragma once

#include <string>
#include <vector>

#include "dmoerm/core/compat.h"
#include "dmoerm/data/capability_labels.h"
#include "dmoerm/data/group_store.h"

namespace dmoerm::train {

// The rating of an answer for a point: the mean over its kept comparisons of +1 (won) and -1 (lost), from -1
// to 1; NaN without a comparison. It says how the answer stands among the others of its prompt. Rows: the
// sequences of the groups, in their order; comparisons of answers that are one sequence do not count.
// `objectives` are names of points. float64 [R, P].
Tensor absolute_ratings(const data::GroupStore& store, const std::vector<int64_t>& groups,
                        const data::CapabilityLabels& labels, const std::vector<std::string>& objectives);

}  // namespace dmoerm::train
