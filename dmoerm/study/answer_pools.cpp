#include "dmoerm/study/answer_pools.h"

#include <map>

namespace dmoerm::study {

std::vector<metrics::AnswerPool> join_pools(const std::vector<EvaluationRecord>& records,
                                            const std::vector<RecordRewards>& rewards) {
  std::vector<metrics::AnswerPool> pools;
  std::map<uint64_t, size_t> places;
  for (size_t i = 0; i < records.size(); ++i) {
    const auto [place, is_new] = places.try_emplace(records[i].prompt, pools.size());
    if (is_new) pools.push_back({records[i].prompt, {}, {}});
    metrics::AnswerPool& pool = pools[place->second];
    const std::vector<double> gold = gold_values(records[i]);
    const bool all_known = pool.gold.size() == pool.proxy.size() && !gold.empty();
    pool.proxy.insert(pool.proxy.end(), rewards[i].rewards.begin(), rewards[i].rewards.end());
    if (all_known) {
      pool.gold.insert(pool.gold.end(), gold.begin(), gold.end());
    } else {
      pool.gold.clear();
    }
  }
  return pools;
}

std::vector<metrics::AnswerPool> score_pools(reward::RecordScorer& scorer,
                                             const std::vector<std::filesystem::path>& files,
                                             data::ReaderOptions options) {
  options.require_ranks = false;
  std::vector<EvaluationRecord> records;
  const std::vector<RecordRewards> rewards = score_records(scorer, files, options, &records);
  return join_pools(records, rewards);
}

}  // namespace dmoerm::study
