// Pools of answers for best-of-n: the rewards of all answers to each prompt, and their gold rewards.
#pragma once

#include <filesystem>
#include <vector>

#include "dmoerm/data/reader.h"
#include "dmoerm/metrics/best_of_n.h"
#include "dmoerm/reward/record_scorer.h"
#include "dmoerm/study/rewards.h"

namespace dmoerm::study {

// In the order of the prompts' first records; the records of one prompt make one pool. Gold: of the records,
// else 1 for an answer of the best rank and 0 for others, else none.
std::vector<metrics::AnswerPool> join_pools(const std::vector<EvaluationRecord>& records,
                                            const std::vector<RecordRewards>& rewards);

// The pools of files. Records are scored in windows, so that pools of any size fit in memory. Error for a
// record that cannot be scored.
std::vector<metrics::AnswerPool> score_pools(reward::RecordScorer& scorer,
                                             const std::vector<std::filesystem::path>& files,
                                             data::ReaderOptions options = {});

}  // namespace dmoerm::study
