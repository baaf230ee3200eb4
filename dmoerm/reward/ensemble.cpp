#include "dmoerm/reward/ensemble.h"

#include <algorithm>
#include <cmath>

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/reward/gated_model.h"
#include "dmoerm/reward/model_manifest.h"
#include "dmoerm/text/chat_format.h"

namespace dmoerm::reward {
namespace {

using Kind = EnsembleRule::Kind;

constexpr std::pair<const char*, Kind> kKinds[] = {
    {"mean", Kind::Mean}, {"worst", Kind::Worst}, {"uncertainty", Kind::Uncertainty}};

void check_scale(double mean, double std, const std::string& where) {
  if (!std::isfinite(mean) || !std::isfinite(std) || std <= 0)
    fail(where, "mean {} and deviation {}, expected finite numbers, the second above 0", mean, std);
}

EnsembleRule read_rule(const Json& json, const std::string& where) {
  EnsembleRule rule;
  const auto name = json_field<std::string>(json, "kind", where);
  const auto found =
      std::ranges::find(kKinds, name, [](const auto& kind) { return std::string(kind.first); });
  if (found == std::end(kKinds))
    fail(where, "\"kind\" is \"{}\", expected \"mean\", \"worst\" or \"uncertainty\"", name);
  rule.kind = found->second;
  rule.lambda = json_field_or<double>(json, "lambda", rule.lambda, where);
  if (!(rule.lambda >= 0)) fail(where, "\"lambda\" is {}, expected 0 or more", rule.lambda);
  return rule;
}

std::string kind_of(const fs::path& directory) {
  const fs::path file = directory / kManifestFile;
  return json_field<std::string>(load_json(file), "kind", file.string());
}

}  // namespace

double EnsembleRule::combine(std::span<const double> rewards) const {
  if (kind == Kind::Worst) return *std::ranges::min_element(rewards);
  const auto count = static_cast<double>(rewards.size());
  double mean = 0, variance = 0;
  for (const double reward : rewards) mean += reward / count;
  if (kind == Kind::Mean) return mean;
  for (const double reward : rewards) variance += (reward - mean) * (reward - mean) / count;
  return mean - lambda * variance;
}

Ensemble::Ensemble(std::vector<EnsembleMember> members, EnsembleRule rule)
    : members_(std::move(members)), rule_(rule) {
  if (members_.empty()) fail("ensemble", "there is no member, expected at least one");
  for (const EnsembleMember& member : members_)
    check_scale(member.reward_mean, member.reward_std, "ensemble");
}

std::vector<RecordScore> Ensemble::score(std::span<const data::PreferenceRecord> records) {
  std::vector<std::vector<RecordScore>> scores;
  for (const EnsembleMember& member : members_) scores.push_back(member.scorer->score(records));
  std::vector<RecordScore> results(records.size());
  std::vector<double> rewards(members_.size());
  for (size_t i = 0; i < records.size(); ++i) {
    RecordScore& result = results[i];
    result.task = scores[0][i].task;
    for (const auto& member : scores)
      if (result.error.empty()) result.error = member[i].error;
    if (!result.error.empty()) continue;
    for (size_t a = 0; a < scores[0][i].rewards.size(); ++a) {
      for (size_t m = 0; m < members_.size(); ++m)
        rewards[m] = (scores[m][i].rewards[a] - members_[m].reward_mean) / members_[m].reward_std;
      result.rewards.push_back(rule_.combine(rewards));
    }
  }
  return results;
}

ScorerCounts Ensemble::counts() const {
  ScorerCounts total = members_[0].scorer->counts();
  for (size_t m = 1; m < members_.size(); ++m) {
    const ScorerCounts counts = members_[m].scorer->counts();
    total.sequences += counts.sequences;
    total.tokens += counts.tokens;
  }
  return total;
}

Ensemble Ensemble::load(const fs::path& directory, const ScorerOptions& options) {
  const fs::path file = directory / kManifestFile;
  const std::string where = file.string();
  if (options.raw)
    fail(where, "found an ensemble, whose members are compared by their standardised rewards: no raw ones");
  const Json json = load_json(file);
  if (const auto format = json_field<int64_t>(json, "format", where); format != 1)
    fail(where, "\"format\" is {}, this program reads 1", format);
  const Json list = json.value("members", Json());
  if (!list.is_array() || list.empty())
    fail(where, "\"members\" is {}, expected a list of at least one",
         list.is_array() ? "empty" : json_kind(list));
  std::vector<EnsembleMember> members;
  for (const Json& entry : list) {
    const std::string part = fmt::format("{}: members[{}]", where, members.size());
    if (!entry.is_object()) fail(part, "found {}, expected an object", json_kind(entry));
    EnsembleMember member;
    member.reward_mean = json_field_or<double>(entry, "reward_mean", 0, part);
    member.reward_std = json_field_or<double>(entry, "reward_std", 1, part);
    check_scale(member.reward_mean, member.reward_std, part);
    const fs::path path = directory / json_field<std::string>(entry, "path", part);
    if (is_model_directory(path) && kind_of(path) == "ensemble")
      fail(part, "{} is an ensemble too, expected a single model", path.string());
    member.scorer = load_scorer(path, options);
    members.push_back(std::move(member));
  }
  const Json rule = json.value("combine", Json::object());
  if (!rule.is_object()) fail(where, "\"combine\" is {}, expected an object", json_kind(rule));
  return {std::move(members), read_rule(rule, where + ": combine")};
}

void Ensemble::save(const fs::path& directory, const std::vector<fs::path>& paths,
                    const std::vector<EnsembleMember>& members, const EnsembleRule& rule) {
  DMOERM_ASSERT(paths.size() == members.size());
  Json list = Json::array();
  for (size_t m = 0; m < members.size(); ++m)
    list.push_back({{"path", paths[m].generic_string()},
                    {"reward_mean", members[m].reward_mean},
                    {"reward_std", members[m].reward_std}});
  const auto* kind = std::ranges::find(kKinds, rule.kind, [](const auto& entry) { return entry.second; });
  const Json json = {{"format", 1},
                     {"kind", "ensemble"},
                     {"members", list},
                     {"combine", {{"kind", kind->first}, {"lambda", rule.lambda}}}};
  AtomicDirectory target(directory);
  write_file_atomically(target.path() / kManifestFile, dump_json(json, 2) + "\n");
  target.commit();
}

std::unique_ptr<RecordScorer> load_scorer(const fs::path& directory, const ScorerOptions& options) {
  const std::string kind = is_model_directory(directory) ? kind_of(directory) : "";
  if (kind == "ensemble") return std::make_unique<Ensemble>(Ensemble::load(directory, options));
  if (kind == "gated") {
    if (!options.adapter.empty() || options.label || options.raw || options.pool_transformers)
      fail(directory.string(),
           "found a gated model: an adapter, a label, rewards before mean and deviation, and the pooling of "
           "transformers are for other models");
    GatedParts parts = GatedModel::load(directory, options.load).parts();
    if (!options.chat_format.empty()) parts.chat_format = options.chat_format;
    text::ChatFormat::check_name(parts.chat_format);
    if (options.max_tokens > 0) parts.max_tokens = options.max_tokens;
    const StatesOptions states{options.token_budget, options.share_prefix};
    return std::make_unique<GatedModel>(std::move(parts), states);
  }
  return std::make_unique<Scorer>(Scorer::load(directory, options));
}

}  // namespace dmoerm::reward
