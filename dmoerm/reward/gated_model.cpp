#include "dmoerm/reward/gated_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"
#include "dmoerm/reward/sequence_scores.h"

namespace dmoerm::reward {
namespace {

// A record that can be scored, as the base reads it.
struct GatedRecord {
  size_t place = 0;  // among all records
  std::vector<std::vector<int32_t>> sequences;
  std::vector<int32_t> sequence_of_answer;
  std::vector<int64_t> lengths;  // of the answers
  std::vector<int32_t> prompt;   // what the gate reads
};

// Numbers equal values in the order of their first use.
class Numbering {
 public:
  int64_t number(const std::vector<int32_t>& tokens) {
    return numbers_.try_emplace(tokens, static_cast<int64_t>(numbers_.size())).first->second;
  }
  // Each as the one sequence of a prompt, in order.
  std::vector<PromptSequences> sequences() const {
    std::vector<PromptSequences> result(numbers_.size());
    for (const auto& [tokens, number] : numbers_) result[number].push_back(tokens);
    return result;
  }

 private:
  std::map<std::vector<int32_t>, int64_t> numbers_;
};

// Records of one prompt stand together, so that what they share is computed once.
using RecordsByPrompt = std::map<uint64_t, std::vector<GatedRecord>>;

// All answers in the order of the records in RecordsByPrompt. R answers.
struct AnswerBatch {
  std::vector<PromptSequences> prompts;
  std::vector<int64_t> sequence_R, length_R;
  Numbering gate_inputs;
  std::vector<int64_t> prompt_R;  // number of the answer's gate input
};

AnswerBatch batch_answers(const RecordsByPrompt& by_prompt) {
  AnswerBatch batch;
  int64_t num_sequences = 0;
  for (const auto& [hash, same_prompt] : by_prompt) {
    PromptSequences& sequences = batch.prompts.emplace_back();
    for (const GatedRecord& record : same_prompt) {
      const int64_t prompt = batch.gate_inputs.number(record.prompt);
      for (size_t answer = 0; answer < record.lengths.size(); ++answer) {
        batch.sequence_R.push_back(num_sequences + record.sequence_of_answer[answer]);
        batch.length_R.push_back(record.lengths[answer]);
        batch.prompt_R.push_back(prompt);
      }
      sequences.insert(sequences.end(), record.sequences.begin(), record.sequences.end());
      num_sequences += std::ssize(record.sequences);
    }
  }
  return batch;
}

void check_vocabulary(std::span<const int32_t> tokens, int64_t vocabulary) {
  for (const int32_t token : tokens)
    if (token < 0 || token >= vocabulary)
      fail("gated model", "token id {} is outside the vocabulary, expected 0 … {}", token, vocabulary - 1);
}

void check_tokens(const GatedRecord& record, int64_t vocabulary) {
  for (const auto& sequence : record.sequences) check_vocabulary(sequence, vocabulary);
  check_vocabulary(record.prompt, vocabulary);
  if (record.prompt.empty()) fail("gated model", "the record has no token that the gate could read");
}

}  // namespace

GatedModel::GatedModel(GatedParts parts, StatesOptions options)
    : parts_(std::move(parts)),
      options_(options),
      encoder_(parts_.tokenizer, {parts_.chat_format, parts_.max_tokens}) {
  const GatedHead& head = parts_.head;
  const int64_t width = parts_.base.decoder->config().hidden_size;
  if (head.width() != width)
    fail("gated model", "the heads are for states of width {}, the base has width {}", head.width(), width);
  if (head.num_objectives() != std::ssize(parts_.objectives))
    fail("gated model", "{} heads, expected one for each of {} objectives", head.num_objectives(),
         parts_.objectives.size());
  std::set<std::string> names;
  for (const auto& objective : parts_.objectives)
    if (!names.insert(objective).second) fail("gated model", "two objectives are called \"{}\"", objective);
}

ScorerCounts GatedModel::counts() const {
  ScorerCounts counts = counts_;
  counts.encoded = encoder_.counts();
  return counts;
}

std::vector<RecordScore> GatedModel::score(std::span<const data::PreferenceRecord> records) {
  const nn::Decoder& decoder = *parts_.base.decoder;
  std::vector<RecordScore> results(records.size());
  RecordsByPrompt by_prompt;
  for (size_t i = 0; i < records.size(); ++i) {
    try {
      auto group = encoder_.encode(records[i]);
      GatedRecord record{i, std::move(group.sequences), group.records.at(0).sequence_of_answer,
                         encoder_.answer_lengths(records[i]), encoder_.encode_router_input(records[i])};
      check_tokens(record, decoder.config().vocab_size);
      counts_.records += 1;
      counts_.sequences += std::ssize(record.sequences);
      for (const auto& sequence : record.sequences) counts_.tokens += std::ssize(sequence);
      by_prompt[group.prompt_hash].push_back(std::move(record));
    } catch (const Error& error) {
      results[i].error = error.what();
    }
  }
  if (by_prompt.empty()) return results;

  torch::NoGradGuard no_grad;
  const AnswerBatch batch = batch_answers(by_prompt);
  const torch::Device device = decoder.device();
  GatedInputs inputs;
  inputs.z_RD = packed_states(decoder, nullptr, batch.prompts, options_)
                    .select(1, 0)
                    .index_select(0, copy_to_device(batch.sequence_R, device));
  inputs.length_R = copy_to_device(batch.length_R, device);
  inputs.prompt_GD = packed_states(decoder, nullptr, batch.gate_inputs.sequences(), options_).select(1, 0);
  inputs.prompt_R = copy_to_device(batch.prompt_R, device);
  const auto rewards = to_doubles(parts_.head.reward(inputs));
  const auto ratings = to_doubles(parts_.head.ratings(inputs.z_RD, inputs.length_R).t());  // [P, R]

  size_t row = 0;
  for (const auto& [hash, same_prompt] : by_prompt)
    for (const GatedRecord& record : same_prompt) {
      RecordScore& result = results[record.place];
      const size_t count = record.sequence_of_answer.size();
      result.rewards.assign(rewards.begin() + row, rewards.begin() + row + count);
      for (size_t p = 0; p < parts_.objectives.size(); ++p) {
        const auto first = ratings.begin() + p * rewards.size() + row;
        result.experts.emplace_back(first, first + count);
      }
      row += count;
      if (!std::ranges::all_of(result.rewards, [](double reward) { return std::isfinite(reward); }))
        result.error = "[gated model] the model gives a reward that is not finite";
    }
  return results;
}

}  // namespace dmoerm::reward
