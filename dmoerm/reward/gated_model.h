// Gated model (ArmoRM, Wang et al. 2024): a frozen base, rating heads on its states, and a gate that weighs
// them by the prompt. A directory of kind "gated" (docs: dmoerm.json, format 1).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/data/prompt_group.h"
#include "dmoerm/models/checkpoint.h"
#include "dmoerm/reward/gated_head.h"
#include "dmoerm/reward/packed_states.h"
#include "dmoerm/reward/record_scorer.h"

namespace dmoerm::reward {

struct GatedParts {
  models::Checkpoint base;              // its own head is not used
  std::vector<std::string> objectives;  // names of the ratings
  GatedHead head;                       // on the base's device
  std::string chat_format;
  int64_t max_tokens = 1024;
  std::optional<text::Tokenizer> tokenizer;  // absent: only token ids can be scored
};

class GatedModel : public RecordScorer {
 public:
  // Error, naming the part, when the parts do not fit each other.
  explicit GatedModel(GatedParts parts, StatesOptions options = {});

  // As Scorer::score(): a record that cannot be scored gets an error, and no reward depends on the batch. The
  // ratings of the objectives, length taken out, stand as the experts' scores; there is no task.
  std::vector<RecordScore> score(std::span<const data::PreferenceRecord> records) override;

  std::vector<std::string> expert_names(const RecordScore&) const override { return parts_.objectives; }
  ScorerCounts counts() const override;

  const GatedParts& parts() const { return parts_; }

  // Checks structure, shapes, names and counts; Error names file and part.
  static GatedModel load(const std::filesystem::path& directory, const models::LoadOptions& options = {});
  // Writes everything atomically, with digests; an older model in its place is replaced.
  void save(const std::filesystem::path& directory) const;

 private:
  GatedParts parts_;
  StatesOptions options_;
  data::GroupEncoder encoder_;
  ScorerCounts counts_;
};

}  // namespace dmoerm::reward
