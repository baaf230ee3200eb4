// An ensemble of reward models: the standardised rewards of its members combined into one (Coste et al.
// 2023): their mean, the worst of them, or their mean less lambda times their variance.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "dmoerm/reward/scorer.h"

namespace dmoerm::reward {

struct EnsembleRule {
  enum class Kind { Mean, Worst, Uncertainty };
  Kind kind = Kind::Mean;
  double lambda = 0.1;  // Uncertainty: mean - lambda * variance (over the members, divided by their number)

  // rewards: one a member, at least one.
  double combine(std::span<const double> rewards) const;
};

// The members' rewards stand on different scales: each enters as (reward - mean) / std.
struct EnsembleMember {
  std::shared_ptr<RecordScorer> scorer;
  double reward_mean = 0, reward_std = 1;  // over some training answers
};

class Ensemble : public RecordScorer {
 public:
  Ensemble(std::vector<EnsembleMember> members, EnsembleRule rule);

  // A record that a member cannot score has that member's error. The task is the first member's.
  std::vector<RecordScore> score(std::span<const data::PreferenceRecord> records) override;
  std::vector<std::string> expert_names(const RecordScore&) const override { return {}; }
  ScorerCounts counts() const override;  // of all members together; the encoding is the first one's

  // A directory of kind "ensemble": dmoerm.json with {"members": [{"path", "reward_mean", "reward_std"}…],
  // "combine": {"kind": "mean" | "worst" | "uncertainty", "lambda"}}; paths as seen from there.
  static Ensemble load(const std::filesystem::path& directory, const ScorerOptions& options = {});
  static void save(const std::filesystem::path& directory, const std::vector<std::filesystem::path>& paths,
                   const std::vector<EnsembleMember>& members, const EnsembleRule& rule);

 private:
  std::vector<EnsembleMember> members_;
  EnsembleRule rule_;
};

// Whatever can score that a directory holds: a dmoerm model of any kind, or a Hugging Face sequence
// classifier.
std::unique_ptr<RecordScorer> load_scorer(const std::filesystem::path& directory,
                                          const ScorerOptions& options = {});

}  // namespace dmoerm::reward
