// Ensembles of single models that differ by their seed (Coste et al. 2023).
#include <cmath>

#include "dmoerm/reward/ensemble.h"
#include "dmoerm/study/method.h"
#include "dmoerm/train/run_data.h"

namespace dmoerm::study {
namespace {

using reward::EnsembleRule;

constexpr size_t kScaleRecords = 500;  // training records that a member's mean and deviation are taken from

std::vector<data::PreferenceRecord> some_records(const StudyCell& cell) {
  std::vector<data::PreferenceRecord> records;
  train::read_run_records(cell.single("single"), [&](const data::PreferenceRecord& record) {
    if (records.size() < kScaleRecords) records.push_back(record);
  });
  return records;
}

reward::EnsembleMember make_member(const fs::path& model, const StudyCell& cell,
                                   const std::vector<data::PreferenceRecord>& records) {
  auto scorer = std::make_shared<reward::Scorer>(reward::load_classifier(model, {}, cell.load_options()));
  double count = 0, sum = 0, squares = 0;
  for (const reward::RecordScore& score : scorer->score(records))
    for (const double reward : score.rewards) count += 1, sum += reward, squares += reward * reward;
  const double mean = sum / count, deviation = std::sqrt(std::max(0.0, squares / count - mean * mean));
  return {scorer, mean, deviation > 0 ? deviation : 1};
}

ScorerPointer make_ensemble(const StudyCell& cell, EnsembleRule rule) {
  const std::vector<data::PreferenceRecord> records = some_records(cell);
  std::vector<reward::EnsembleMember> members;
  for (int64_t member = 0; member < cell.study().ensemble; ++member)
    members.push_back(make_member(cell.single_member(member), cell, records));
  return std::make_unique<reward::Ensemble>(std::move(members), rule);
}

}  // namespace

std::string ensemble_settings(const StudyConfig& study) {
  return fmt::format("ensemble={}", study.ensemble);
}

std::string ensemble_uncertainty_settings(const StudyConfig& study) {
  return fmt::format("{} ensemble_lambda={}", ensemble_settings(study), study.ensemble_lambda);
}

ScorerPointer make_ensemble_mean(const StudyCell& cell, const Method&) {
  return make_ensemble(cell, {EnsembleRule::Kind::Mean});
}

ScorerPointer make_ensemble_worst(const StudyCell& cell, const Method&) {
  return make_ensemble(cell, {EnsembleRule::Kind::Worst});
}

ScorerPointer make_ensemble_uncertainty(const StudyCell& cell, const Method&) {
  return make_ensemble(cell, {EnsembleRule::Kind::Uncertainty, cell.study().ensemble_lambda});
}

}  // namespace dmoerm::study
