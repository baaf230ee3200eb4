// The pre-tokenizer of a tokenizer.json: normalised text -> the words inside which merges happen.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/core/json.h"
#include "dmoerm/text/regex.h"

namespace dmoerm::text {

// Words of one text. They point into the text itself, or into `owned` where a step changed it.
struct Words {
  std::vector<std::string_view> words;
  std::deque<std::string> owned;
};

// One step: replaces the words that it is given by smaller ones.
class PreTokenizerStep {
 public:
  virtual ~PreTokenizerStep() = default;
  // `first`: the words come from the text's beginning, not from behind a special token.
  virtual void apply(Words& words, bool first) const = 0;
};

class PreTokenizer {
 public:
  // The "pre_tokenizer" of a tokenizer.json: null, ByteLevel, Split, Digits, Metaspace, Sequence.
  // Error, naming `where`, for any other.
  static PreTokenizer from_json(const Json& json, const std::string& where);

  void append(std::shared_ptr<const PreTokenizerStep> step) { steps_.push_back(std::move(step)); }

  Words split(std::string_view text, bool first) const;  // `text` is valid UTF-8 and outlives the result
  // The vocabulary is written in the byte alphabet (byte_alphabet.h).
  bool byte_level() const { return byte_level_; }

 private:
  void add(const Json& json, const std::string& where);

  std::vector<std::shared_ptr<const PreTokenizerStep>> steps_;
  bool byte_level_ = false;
};

}  // namespace dmoerm::text
