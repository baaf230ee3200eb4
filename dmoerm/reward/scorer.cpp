#include "dmoerm/reward/scorer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "dmoerm/core/log.h"
#include "dmoerm/reward/sequence_scores.h"

namespace dmoerm::reward {
namespace {

data::EncodeOptions encode_options(const DoubleLayerModel& model, const ScorerOptions& options) {
  data::EncodeOptions encode;
  encode.chat_format = options.chat_format.empty() ? model.chat_format : options.chat_format;
  encode.max_tokens = options.max_tokens > 0 ? options.max_tokens : model.max_tokens;
  return encode;
}

void check_ids(std::span<const int32_t> tokens, const nn::Decoder& decoder) {
  const int64_t vocabulary = decoder.config().vocab_size;
  for (const int32_t token : tokens)
    if (token < 0 || token >= vocabulary)
      fail("score", "token id {} is outside the vocabulary, expected 0 … {}", token, vocabulary - 1);
}

// What transformers pools: the rightmost token that is not padding, or the first when all are.
void cut_trailing_padding(std::vector<int32_t>& tokens, std::optional<int64_t> pad) {
  while (pad && tokens.size() > 1 && tokens.back() == *pad) tokens.pop_back();
}

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

}  // namespace

size_t best_label(const std::vector<double>& probabilities) {
  return std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin();
}

ScorerCounts Scorer::counts() const {
  ScorerCounts counts = counts_;
  counts.encoded = encoder_.counts();
  return counts;
}

Scorer Scorer::load(const std::filesystem::path& directory, const ScorerOptions& options) {
  const auto logged = [](Scorer scorer) {
    log().info("chat format: {}", scorer.chat_format_description());
    return scorer;
  };
  if (!is_model_directory(directory))
    return logged(
        Scorer(load_classifier(directory, {options.adapter, options.label}, options.load), options));
  if (!options.adapter.empty() || options.label)
    fail(directory.string(),
         "an adapter or a label goes with a plain sequence classifier, found a dmoerm model");
  return logged(Scorer(DoubleLayerModel::load(directory, options.load), options));
}

Scorer::Scorer(DoubleLayerModel model, ScorerOptions options)
    : model_(std::move(model)),
      options_(std::move(options)),
      encoder_(model_.tokenizer, encode_options(model_, options_)) {
  model_.check();
  if (options_.raw && model_.router && model_.router->top > 1)
    fail("score", "the router mixes the rewards of {} tasks, which raw ones cannot be", model_.router->top);
}

data::PromptGroup Scorer::encode(const data::PreferenceRecord& record, const InnerModel& inner) {
  auto group = encoder_.encode(record);
  for (auto& sequence : group.sequences) {
    check_ids(sequence, inner.decoder());
    if (options_.pool_transformers) cut_trailing_padding(sequence, inner.base->checkpoint.pad_token_id);
  }
  return group;
}

void Scorer::score_task(const InnerModel& inner, std::span<const data::PreferenceRecord> records,
                        const std::vector<size_t>& chosen, std::vector<RecordScore>& results) {
  // Records of one prompt become one group, so that what they share is computed once.
  struct Prompt {
    std::vector<data::PromptGroup> groups;
    std::vector<size_t> records;
  };
  std::map<uint64_t, Prompt> by_hash;
  for (const size_t i : chosen) {
    results[i].task = inner.task;
    try {
      auto group = encode(records[i], inner);
      counts_.records += 1;
      counts_.sequences += static_cast<int64_t>(group.sequences.size());
      counts_.tokens += static_cast<int64_t>(group.num_tokens());
      Prompt& prompt = by_hash[group.prompt_hash];
      prompt.groups.push_back(std::move(group));
      prompt.records.push_back(i);
    } catch (const Error& error) {
      results[i].error = error.what();
    }
  }

  std::vector<data::PromptGroup> merged;
  std::vector<PromptSequences> prompts;
  for (auto& [hash, prompt] : by_hash) merged.push_back(data::merge_groups(std::move(prompt.groups)));
  for (const auto& group : merged) prompts.emplace_back(group.sequences.begin(), group.sequences.end());
  const auto scores = score_sequences(inner, prompts, {options_.token_budget, options_.share_prefix});

  size_t first = 0, m = 0;  // number of the group's first sequence; the group
  for (const auto& [hash, prompt] : by_hash) {
    const auto& group = merged[m++];
    for (size_t j = 0; j < prompt.records.size(); ++j) {
      RecordScore& result = results[prompt.records[j]];
      result.experts.resize(scores.experts.size());
      for (const int32_t sequence : group.records[j].sequence_of_answer) {
        const double raw = scores.rewards[first + sequence];
        result.rewards.push_back(options_.raw ? raw : (raw - inner.reward_mean) / inner.reward_std);
        for (size_t k = 0; k < scores.experts.size(); ++k)
          result.experts[k].push_back(scores.experts[k][first + sequence]);
      }
      if (!all_finite(result.rewards) ||
          !std::all_of(result.experts.begin(), result.experts.end(), all_finite))
        result.error = "[score] the model gives a reward that is not finite";
    }
    first += group.sequences.size();
  }
}

void Scorer::score_by(std::span<const data::PreferenceRecord> records,
                      const std::vector<const InnerModel*>& inners, std::vector<RecordScore>& results) {
  std::vector<std::pair<const InnerModel*, std::vector<size_t>>> work;
  for (const auto& inner : model_.tasks) {
    std::vector<size_t> chosen;
    for (size_t i = 0; i < records.size(); ++i)
      if (inners[i] == &inner) chosen.push_back(i);
    if (!chosen.empty()) work.emplace_back(&inner, std::move(chosen));
  }
  BaseResidency* const residency = model_.residency.get();
  if (residency)  // those that are there first
    std::ranges::stable_partition(
        work, [&](const auto& part) { return residency->is_resident(part.first->decoder()); });
  for (size_t i = 0; i < work.size(); ++i) {
    const auto& [inner, chosen] = work[i];
    if (residency) residency->use(inner->decoder());
    if (residency && i + 1 < work.size()) residency->prefetch(work[i + 1].first->decoder());
    score_task(*inner, records, chosen, results);
  }
}

std::vector<std::string> Scorer::expert_names(const RecordScore& score) const {
  std::vector<std::string> names;
  if (const InnerModel* inner = model_.find(score.task))
    for (const CapabilityExpert& expert : inner->experts) names.push_back(expert.point);
  return names;
}

std::vector<RecordScore> Scorer::score_as(std::span<const data::PreferenceRecord> records,
                                          std::span<const std::string> tasks) {
  DMOERM_ASSERT(records.size() == tasks.size());
  std::vector<const InnerModel*> inners;
  for (const auto& task : tasks) {
    inners.push_back(model_.find(task));
    if (!inners.back()) fail("score", "\"{}\" is no task of the model", task);
  }
  std::vector<RecordScore> results(records.size());
  score_by(records, inners, results);
  return results;
}

std::vector<std::vector<double>> Scorer::route(std::span<const data::PreferenceRecord> records) {
  std::vector<std::string> errors;
  return route(records, errors);
}

std::vector<std::vector<double>> Scorer::route(std::span<const data::PreferenceRecord> records,
                                               std::vector<std::string>& errors) {
  if (!model_.router) fail("score", "the model has no router");
  std::vector<std::vector<double>> probabilities(records.size());
  errors.assign(records.size(), "");
  std::vector<std::vector<int32_t>> inputs;
  std::vector<size_t> routed;
  for (size_t i = 0; i < records.size(); ++i) {
    try {
      auto input = encoder_.encode_router_input(records[i]);
      check_ids(input, model_.router->decoder());
      if (input.empty()) fail("score", "the record cannot be routed: no token of it can be read");
      inputs.push_back(std::move(input));
      routed.push_back(i);
    } catch (const Error& error) {
      errors[i] = error.what();
    }
  }
  const Tensor logits_NC = model_.router->logits(inputs, {options_.token_budget, options_.share_prefix});
  const Tensor probs_NC = logits_NC.to(torch::kDouble).softmax(-1);
  for (size_t n = 0; n < routed.size(); ++n) probabilities[routed[n]] = to_doubles(probs_NC[n]);
  counts_.routed += static_cast<int64_t>(routed.size());
  return probabilities;
}

std::vector<RecordScore> Scorer::score(std::span<const data::PreferenceRecord> records) {
  std::vector<RecordScore> results(records.size());
  std::vector<const InnerModel*> inners(records.size());
  std::vector<data::PreferenceRecord> to_route;
  std::vector<size_t> places;
  for (size_t i = 0; i < records.size(); ++i) {
    const std::string& task = records[i].task;
    inners[i] = model_.find_for_records(task);
    if (!inners[i] && model_.tasks.size() == 1) inners[i] = &model_.tasks[0];
    if (inners[i]) continue;
    if (model_.router) {
      counts_.unknown_tasks += !task.empty();
      to_route.push_back(records[i]);
      places.push_back(i);
    } else {
      results[i].error =
          task.empty() ? "[score] the record names no task and the model has no router"
                       : fmt::format("[score] \"{}\" is no task of the model, and it has no router", task);
    }
  }
  if (!to_route.empty()) {
    std::vector<std::string> errors;
    auto probabilities = route(to_route, errors);
    for (size_t n = 0; n < places.size(); ++n) {
      RecordScore& result = results[places[n]];
      result.task_probs = std::move(probabilities[n]);
      if (result.task_probs.empty())
        result.error = errors[n];
      else
        inners[places[n]] = model_.find(model_.router->labels[best_label(result.task_probs)]);
    }
  }
  score_by(records, inners, results);
  if (model_.router && model_.router->top > 1) mix_tasks(records, results);
  return results;
}

// The routed records have the best task's rewards: adds those of the next best ones.
void Scorer::mix_tasks(std::span<const data::PreferenceRecord> records, std::vector<RecordScore>& results) {
  const auto top = static_cast<size_t>(model_.router->top);
  std::vector<std::vector<size_t>> best(records.size());  // labels, best first; none where not routed
  std::vector<double> weight(records.size());             // of the tasks mixed so far
  for (size_t i = 0; i < records.size(); ++i) {
    const auto& probabilities = results[i].task_probs;
    if (probabilities.empty() || !results[i].error.empty()) continue;
    best[i].resize(probabilities.size());
    std::iota(best[i].begin(), best[i].end(), 0);
    std::ranges::stable_sort(best[i],
                             [&](size_t a, size_t b) { return probabilities[a] > probabilities[b]; });
    weight[i] = probabilities[best[i][0]];
  }
  for (size_t place = 1; place < top; ++place) {
    std::vector<const InnerModel*> inners(records.size());
    for (size_t i = 0; i < records.size(); ++i)
      if (!best[i].empty()) inners[i] = model_.find(model_.router->labels[best[i][place]]);
    std::vector<RecordScore> scores(records.size());
    score_by(records, inners, scores);
    for (size_t i = 0; i < records.size(); ++i) {
      if (!inners[i]) continue;
      RecordScore& result = results[i];
      if (result.error.empty()) result.error = scores[i].error;
      if (!result.error.empty()) continue;
      const double added = result.task_probs[best[i][place]], share = added / (weight[i] + added);
      weight[i] += added;
      for (size_t a = 0; a < result.rewards.size(); ++a)
        result.rewards[a] += share * (scores[i].rewards[a] - result.rewards[a]);
    }
  }
}

}  // namespace dmoerm::reward
