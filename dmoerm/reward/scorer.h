// Scorer: preference records -> rewards, for double-layer models and any Hugging Face sequence classifier.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dmoerm/data/prompt_group.h"
#include "dmoerm/reward/double_layer_model.h"
#include "dmoerm/reward/record_scorer.h"

namespace dmoerm::reward {

struct ScorerOptions {
  models::LoadOptions load;
  std::filesystem::path adapter;  // PEFT adapter over a plain classifier
  std::optional<int64_t> label;   // one of a plain classifier's several labels
  std::string chat_format;        // "": the model's own
  int64_t max_tokens = 0;         // 0: the model's own
  int64_t token_budget = 0;       // rows of one batch (0: what suits the device); never changes a reward
  bool share_prefix = true;
  bool raw = false;                // rewards before the task's mean and deviation
  bool pool_transformers = false;  // score the last token that is not padding, even where padding equals EOS
};

class Scorer : public RecordScorer {
 public:
  static Scorer load(const std::filesystem::path& directory, const ScorerOptions& options = {});
  explicit Scorer(DoubleLayerModel model, ScorerOptions options = {});

  // A record that names a task of the model goes there, any other through the
  // router (or to the only task). A record that cannot be scored (text without a tokenizer, an id outside the
  // vocabulary, no task and no router, a reward that is not finite) gets an error; the others are scored.
  std::vector<RecordScore> score(std::span<const data::PreferenceRecord> records) override;
  // The same by the named tasks' models, the router never asked. One task of the model a record.
  std::vector<RecordScore> score_as(std::span<const data::PreferenceRecord> records,
                                    std::span<const std::string> tasks);
  // The router's probabilities [C] of each record; Error when the model has none. Empty where it cannot be
  // routed.
  std::vector<std::vector<double>> route(std::span<const data::PreferenceRecord> records);
  // The same; `errors`: why a record cannot be routed.
  std::vector<std::vector<double>> route(std::span<const data::PreferenceRecord> records,
                                         std::vector<std::string>& errors);

  const DoubleLayerModel* double_layer() const override { return &model_; }
  const DoubleLayerModel& model() const { return model_; }
  ScorerCounts counts() const override;
  std::vector<std::string> expert_names(const RecordScore& score) const override;
  std::string chat_format_description() const { return encoder_.chat_format_description(); }

 private:
  data::PromptGroup encode(const data::PreferenceRecord& record, const InnerModel& inner);
  void score_task(const InnerModel& inner, std::span<const data::PreferenceRecord> records,
                  const std::vector<size_t>& chosen, std::vector<RecordScore>& results);

  void score_by(std::span<const data::PreferenceRecord> records, const std::vector<const InnerModel*>& inners,
                std::vector<RecordScore>& results);
  void mix_tasks(std::span<const data::PreferenceRecord> records, std::vector<RecordScore>& results);

  DoubleLayerModel model_;
  ScorerOptions options_;
  data::GroupEncoder encoder_;
  ScorerCounts counts_;
};

// The label with the highest probability (the first of equal ones).
size_t best_label(const std::vector<double>& probabilities);

}  // namespace dmoerm::reward
