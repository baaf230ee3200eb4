// A prompt group: one prompt, its distinct answers as token sequences, and edges between them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/data/preference_record.h"
#include "dmoerm/text/chat_format.h"
#include "dmoerm/text/tokenizer.h"

namespace dmoerm::data {

// `better` should get a reward above `worse` by at least `margin`. Indices into PromptGroup::sequences.
struct Edge {
  int32_t better = 0, worse = 0;
  float weight = 1, margin = 0;
};

// A record that went into a group: capability labels name records and their answers.
struct RecordAnswers {
  std::string id;
  uint64_t answers_hash = 0;
  std::vector<int32_t> sequence_of_answer;  // answer -> sequence of the group (equal answers share one)
};

struct PromptGroup {
  std::string task;
  uint64_t prompt_hash = 0;
  std::vector<std::vector<int32_t>> sequences;  // prompt + answer, each tokenised alone, whole
  std::vector<RecordAnswers> records;           // one, or all records that share the prompt and the task
  std::vector<Edge> edges;

  size_t num_tokens() const;  // of all sequences, nothing shared
};

enum class TooLong { Truncate, Drop, Error };

struct EncodeOptions {
  std::string chat_format = text::ChatFormat::kTemplate;  // the tokenizer's own template, or a named format
  int64_t max_tokens = 1024;
  TooLong too_long = TooLong::Truncate;
};

// What happened to over-long input; said at the end of reading.
struct EncodeCounts {
  int64_t sequences = 0, prompts_cut = 0, answers_cut = 0, records_dropped = 0;

  EncodeCounts& operator+=(const EncodeCounts& other) {
    sequences += other.sequences;
    prompts_cut += other.prompts_cut;
    answers_cut += other.answers_cut;
    records_dropped += other.records_dropped;
    return *this;
  }
  EncodeCounts operator-(const EncodeCounts& before) const {
    return {sequences - before.sequences, prompts_cut - before.prompts_cut, answers_cut - before.answers_cut,
            records_dropped - before.records_dropped};
  }
};

// Records -> groups. A sequence is rendered and tokenised as one text, exactly as a tool that scores it alone
// would; no second BOS; raw text gets EOS when it is absent, messages get nothing more, ids are taken as
// given. Too long: the prompt is cut from the left (BOS is kept); an answer that alone is too long loses its
// prompt and is cut at its right end with the closing tokens kept.
class GroupEncoder {
 public:
  // Without a tokenizer only records of ids can be encoded.
  GroupEncoder(std::optional<text::Tokenizer> tokenizer, EncodeOptions options);

  // Edges of all pairs of different rank whose sequences differ; none for a record without ranks. A record
  // dropped as too long gives a group without sequences. Error when it is too long under TooLong::Error, or
  // needs a tokenizer or a chat format that is not there.
  PromptGroup encode(const PreferenceRecord& record);
  // What the router reads: the user's turns joined by newlines, closed by EOS, cut from the left. Turns of
  // raw text and of ids are found by the chat format; where there are none, all of the prompt is taken (of
  // the first answer when there is no prompt either).
  std::vector<int32_t> encode_router_input(const PreferenceRecord& record) const;
  // Tokens of each answer, what closes it among them: those of its sequence, uncut, behind the prompt's. A
  // sequence without a prompt is read by the chat format, and its last turn counts if it is the assistant's;
  // where it cannot be read, all tokens count. Errors as encode().
  std::vector<int64_t> answer_lengths(const PreferenceRecord& record) const;

  const EncodeCounts& counts() const { return counts_; }
  const text::Tokenizer& tokenizer() const;
  // How messages are rendered; Error, saying how to name a format, when the tokenizer has no template.
  const text::ChatFormat& chat_format() const;
  std::string chat_format_description() const;  // for people; never fails
  const EncodeOptions& options() const { return options_; }
  uint64_t fingerprint() const;  // of tokenizer and options: equal ones give equal groups

 private:
  struct Sequence;
  Sequence tokenize(const PreferenceRecord& record, size_t answer) const;
  Sequence tokenize_or_name(const PreferenceRecord& record, size_t answer) const;
  size_t first_answer_token(const Sequence& sequence, const PreferenceRecord& record) const;
  size_t first_token_of_last_turn(const Sequence& sequence) const;
  bool fit(Sequence& sequence, const PreferenceRecord& record);
  std::string user_turns_of(const std::string& text) const;

  std::optional<text::Tokenizer> tokenizer_;
  std::optional<text::ChatFormat> format_;
  EncodeOptions options_;
  EncodeCounts counts_;
};

// One group of several that have the same prompt and task: all records and edges, equal sequences only once.
PromptGroup merge_groups(std::vector<PromptGroup> groups);

}  // namespace dmoerm::data
