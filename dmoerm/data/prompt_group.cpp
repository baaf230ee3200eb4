#include "dmoerm/data/prompt_group.h"

#include <algorithm>
#include <map>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"

namespace dmoerm::data {
namespace {

size_t tokens_in_common(const std::vector<int32_t>& prompt, const std::vector<int32_t>& tokens) {
  return std::ranges::mismatch(prompt, tokens).in2 - tokens.begin();
}

void warn_of_missing_tokens(const text::Tokenizer& tokenizer, const text::ChatFormat& format) {
  const std::vector<Message> turns = {{"user", "a"}, {"assistant", "b"}};
  const std::string rendered = format.render(turns);
  std::vector<std::string> missing;
  for (const std::string& token : format.special_tokens())
    if (rendered.find(token) != std::string::npos && !tokenizer.token_id(token)) missing.push_back(token);
  if (!missing.empty())
    log().warn("chat format {}: the tokenizer has no {}, and reads each as several tokens", format.name(),
               fmt::join(missing, ", "));
}

}  // namespace

size_t PromptGroup::num_tokens() const {
  size_t tokens = 0;
  for (const auto& sequence : sequences) tokens += sequence.size();
  return tokens;
}

// Tokens of prompt and answer, and what a cut has to know.
struct GroupEncoder::Sequence {
  std::vector<int32_t> tokens;
  std::string text;         // "" for ids
  size_t answer_begin = 0;  // where the answer begins: a byte of the text, or a token of ids
  size_t closing = 0;       // tokens at the end that close the answer
};

GroupEncoder::GroupEncoder(std::optional<text::Tokenizer> tokenizer, EncodeOptions options)
    : tokenizer_(std::move(tokenizer)),
      format_(text::ChatFormat::find(options.chat_format, tokenizer_ ? &*tokenizer_ : nullptr)),
      options_(std::move(options)) {
  if (options_.max_tokens < 1) fail("encode", "max_tokens is {}, expected at least 1", options_.max_tokens);
  if (tokenizer_ && format_ && options_.chat_format != text::ChatFormat::kTemplate)
    warn_of_missing_tokens(*tokenizer_, *format_);
}

const text::Tokenizer& GroupEncoder::tokenizer() const {
  if (!tokenizer_) fail("encode", "this needs a tokenizer, and the model has none: only ids can be scored");
  return *tokenizer_;
}

const text::ChatFormat& GroupEncoder::chat_format() const {
  if (!format_)
    fail("chat format", "the tokenizer has no chat template to render messages with; {}",
         text::ChatFormat::how_to_name());
  return *format_;
}

std::string GroupEncoder::chat_format_description() const {
  return format_ ? format_->description() : "none, so that messages cannot be read";
}

uint64_t GroupEncoder::fingerprint() const {
  uint64_t hash = tokenizer_ ? tokenizer_->fingerprint() : 0;
  for (const uint64_t part : {hash64(options_.chat_format), static_cast<uint64_t>(options_.max_tokens),
                              static_cast<uint64_t>(options_.too_long)})
    hash = hash_combine(hash, part);
  return hash;
}

GroupEncoder::Sequence GroupEncoder::tokenize(const PreferenceRecord& record, size_t answer) const {
  Sequence sequence;
  if (record.is_ids) {
    sequence.tokens = record.prompt_ids;
    const auto& response = record.response_ids[answer];
    sequence.tokens.insert(sequence.tokens.end(), response.begin(), response.end());
    sequence.answer_begin = record.prompt_ids.size();
    sequence.closing = response.empty() ? 0 : 1;
    return sequence;
  }
  if (record.is_text) {
    sequence.text = record.prompt_text + response_text(record.responses[answer]);
    sequence.tokens = tokenizer().encode_rendered(sequence.text);
    const auto eos = tokenizer().eos_id();
    if (eos && (sequence.tokens.empty() || sequence.tokens.back() != *eos)) sequence.tokens.push_back(*eos);
    sequence.answer_begin = record.prompt_text.size();
    sequence.closing = eos ? 1 : 0;
    return sequence;
  }
  tokenizer();  // its absence is the first thing to say
  const text::ChatFormat& format = chat_format();
  std::vector<Message> messages = record.messages;
  const std::string prompt = format.render(messages, true);
  messages.insert(messages.end(), record.responses[answer].begin(), record.responses[answer].end());
  sequence.text = format.render(messages);
  sequence.tokens = tokenizer().encode(sequence.text);
  sequence.answer_begin = std::ranges::mismatch(prompt, sequence.text).in1 - prompt.begin();
  const std::string end = format.turn_end();
  if (sequence.text.ends_with(end)) sequence.closing = tokenizer().encode(end).size();
  return sequence;
}

// Chat formats refuse some roles and orders of turns: the message has to say in which record.
GroupEncoder::Sequence GroupEncoder::tokenize_or_name(const PreferenceRecord& record, size_t answer) const {
  try {
    return tokenize(record, answer);
  } catch (const Error& error) {
    fail("encode", "record {}: {}", record.id, error.what());
  }
}

// Tokens may straddle the prompt's end: the answer begins where the prompt's own tokens stop agreeing.
size_t GroupEncoder::first_answer_token(const Sequence& sequence, const PreferenceRecord& record) const {
  if (record.is_ids) return sequence.answer_begin;
  const std::string prompt = sequence.text.substr(0, sequence.answer_begin);
  return tokens_in_common(record.is_text ? tokenizer().encode_rendered(prompt) : tokenizer().encode(prompt),
                          sequence.tokens);
}

// Cuts a sequence to the limit; false when its record is to be dropped.
bool GroupEncoder::fit(Sequence& sequence, const PreferenceRecord& record) {
  const auto limit = static_cast<size_t>(options_.max_tokens);
  std::vector<int32_t>& tokens = sequence.tokens;
  if (tokens.size() <= limit) return true;
  if (options_.too_long == TooLong::Error)
    fail("encode", "record {} has a sequence of {} tokens, expected at most {}", record.id, tokens.size(),
         limit);
  if (options_.too_long == TooLong::Drop) return false;

  const size_t answer_begin = first_answer_token(sequence, record);
  const bool has_bos = tokenizer_ && tokenizer_->bos_id() && tokens[0] == *tokenizer_->bos_id();
  const size_t kept_left = has_bos && limit > 1 ? 1 : 0, room = limit - kept_left;
  if (tokens.size() - answer_begin <= room) {
    ++counts_.prompts_cut;
    tokens.erase(tokens.begin() + kept_left, tokens.end() - room);
    return true;
  }
  ++counts_.answers_cut;
  const size_t closing = std::min(sequence.closing, room);
  const auto first = tokens.begin() + std::max(answer_begin, kept_left);
  std::vector<int32_t> cut(tokens.begin(), tokens.begin() + kept_left);
  cut.insert(cut.end(), first, first + (room - closing));
  cut.insert(cut.end(), tokens.end() - closing, tokens.end());
  tokens = std::move(cut);
  return true;
}

PromptGroup GroupEncoder::encode(const PreferenceRecord& record) {
  PromptGroup group;
  group.task = record.task;
  group.prompt_hash = prompt_hash(record);
  RecordAnswers answers{record.id, answers_hash(record), {}};
  std::map<std::vector<int32_t>, int32_t> known;
  for (size_t i = 0; i < record.num_answers(); ++i) {
    Sequence sequence = tokenize_or_name(record, i);
    if (!fit(sequence, record)) {
      ++counts_.records_dropped;
      group.sequences.clear();
      return group;
    }
    if (sequence.tokens.empty()) fail("encode", "record {} has an answer without any token", record.id);
    const auto [entry, fresh] = known.emplace(std::move(sequence.tokens), group.sequences.size());
    if (fresh) group.sequences.push_back(entry->first);
    answers.sequence_of_answer.push_back(entry->second);
  }
  counts_.sequences += static_cast<int64_t>(record.num_answers());
  for (size_t i = 0; i < record.ranks.size(); ++i) {
    for (size_t j = 0; j < record.ranks.size(); ++j) {
      const int32_t better = answers.sequence_of_answer[i], worse = answers.sequence_of_answer[j];
      if (record.ranks[i] < record.ranks[j] && better != worse)
        group.edges.push_back({better, worse, 1, static_cast<float>(record.margin)});
    }
  }
  group.records.push_back(std::move(answers));
  return group;
}

// Where the last turn begins in tokens without a prompt, if that is the assistant's in the chat format's
// form; else 0.
size_t GroupEncoder::first_token_of_last_turn(const Sequence& sequence) const {
  if (!format_ || !tokenizer_) return 0;
  const bool is_ids = sequence.text.empty();
  auto messages = format_->parse(is_ids ? tokenizer_->decode(sequence.tokens) : sequence.text);
  if (!messages || messages->size() < 2 || messages->back().role != "assistant") return 0;
  messages->pop_back();
  const std::string prompt = format_->render(*messages, true);
  return tokens_in_common(is_ids ? tokenizer_->encode(prompt) : tokenizer_->encode_rendered(prompt),
                          sequence.tokens);
}

std::vector<int64_t> GroupEncoder::answer_lengths(const PreferenceRecord& record) const {
  const bool no_prompt =
      record.is_ids ? record.prompt_ids.empty() : record.is_text && record.prompt_text.empty();
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < record.num_answers(); ++i) {
    const Sequence sequence = tokenize_or_name(record, i);
    const size_t begin =
        no_prompt ? first_token_of_last_turn(sequence) : first_answer_token(sequence, record);
    lengths.push_back(static_cast<int64_t>(sequence.tokens.size() - begin));
  }
  return lengths;
}

// The user's turns of a rendered text; "" when it does not have the chat format's form.
std::string GroupEncoder::user_turns_of(const std::string& text) const {
  PreferenceRecord parsed;
  if (const auto messages = format_ ? format_->parse(text) : std::nullopt) parsed.messages = *messages;
  return user_turns_text(parsed);
}

std::vector<int32_t> GroupEncoder::encode_router_input(const PreferenceRecord& record) const {
  std::vector<int32_t> tokens;
  if (record.is_ids) {
    tokens = record.prompt_ids;
    if (tokens.empty() && !record.response_ids.empty()) tokens = record.response_ids[0];
    const std::string turns = tokenizer_ ? user_turns_of(tokenizer_->decode(tokens)) : "";
    if (!turns.empty()) tokens = tokenizer_->encode_rendered(turns);
  } else {
    std::string text = user_turns_text(record);
    if (record.is_text) {
      if (text.empty() && !record.responses.empty()) text = response_text(record.responses[0]);
      if (const std::string turns = user_turns_of(text); !turns.empty()) text = turns;
    }
    tokens = tokenizer().encode_rendered(text);
  }
  const auto eos = tokenizer_ ? tokenizer_->eos_id() : std::nullopt;
  if (eos && (tokens.empty() || tokens.back() != *eos)) tokens.push_back(*eos);
  const auto limit = static_cast<size_t>(options_.max_tokens);
  if (tokens.size() > limit) tokens.erase(tokens.begin(), tokens.end() - limit);
  return tokens;
}

PromptGroup merge_groups(std::vector<PromptGroup> groups) {
  PromptGroup merged = std::move(groups.at(0));
  std::map<std::vector<int32_t>, int32_t> known;
  for (size_t i = 0; i < merged.sequences.size(); ++i) known.emplace(merged.sequences[i], i);
  for (auto group = groups.begin() + 1; group != groups.end(); ++group) {
    std::vector<int32_t> place;  // of the group's sequences among the merged ones
    for (auto& sequence : group->sequences) {
      const auto [entry, fresh] = known.emplace(std::move(sequence), merged.sequences.size());
      if (fresh) merged.sequences.push_back(entry->first);
      place.push_back(entry->second);
    }
    for (RecordAnswers& record : group->records) {
      for (int32_t& sequence : record.sequence_of_answer) sequence = place[sequence];
      merged.records.push_back(std::move(record));
    }
    for (const Edge& edge : group->edges)
      merged.edges.push_back({place[edge.better], place[edge.worse], edge.weight, edge.margin});
  }
  return merged;
}

}  // namespace dmoerm::data
