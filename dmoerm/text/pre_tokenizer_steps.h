// The steps that pre-tokenizers are made of.
#pragma once

#include <string>

#include "dmoerm/text/pre_tokenizer.h"
#include "dmoerm/text/word_model.h"

namespace dmoerm::text {

// What becomes of the matches of a Split's pattern.
enum class SplitBehavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };

class Split : public PreTokenizerStep {
 public:
  Split(Regex regex, SplitBehavior behavior, bool invert = false)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}
  static Split from_json(const Json& json, const std::string& where);
  void apply(Words& words, bool first) const override;

 private:
  void split(std::string_view word, std::vector<std::string_view>& out) const;

  Regex regex_;
  SplitBehavior behavior_;
  bool invert_;
};

// The pattern that GPT-2 splits by: contractions, words, numbers, punctuation, spaces.
Split gpt2_split();

// A space before every word that has none.
class PrefixSpace : public PreTokenizerStep {
 public:
  void apply(Words& words, bool first) const override;
};

// SentencePiece's spaces: ' ' becomes "▁", words begin at it.
class Metaspace : public PreTokenizerStep {
 public:
  static Metaspace from_json(const Json& json, const std::string& where);
  void apply(Words& words, bool first) const override;

 private:
  enum class Prepend { Always, First, Never };
  std::string replacement_;
  Prepend prepend_ = Prepend::Always;
  bool split_ = true;
};

// Words that begin at a space behind something else, as "▁▁a" in "b▁▁a". Changes no ids where no token goes
// on behind such a place; models that know no words become faster by it, and their words can be remembered.
class SpaceWords : public PreTokenizerStep {
 public:
  explicit SpaceWords(std::string space) : space_(std::move(space)) {}
  static bool changes_nothing(const Vocabulary& tokens, std::string_view space);
  void apply(Words& words, bool first) const override;

 private:
  std::string space_;
};

}  // namespace dmoerm::text
