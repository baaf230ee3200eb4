#include "dmoerm/text/pre_tokenizer.h"

#include "dmoerm/text/json_parts.h"
#include "dmoerm/text/pre_tokenizer_steps.h"

namespace dmoerm::text {

void PreTokenizer::add(const Json& json, const std::string& where) {
  const auto type = json_field<std::string>(json, "type", where);
  if (byte_level_) fail(where, "\"{}\" stands after ByteLevel, expected ByteLevel last", type);
  if (type == "ByteLevel") {
    byte_level_ = true;
    if (json_field_or(json, "add_prefix_space", false, where))
      steps_.push_back(std::make_shared<PrefixSpace>());
    if (json_field_or(json, "use_regex", true, where))
      steps_.push_back(std::make_shared<Split>(gpt2_split()));
  } else if (type == "Split") {
    steps_.push_back(std::make_shared<Split>(Split::from_json(json, where)));
  } else if (type == "Digits") {
    const bool each = json_field_or(json, "individual_digits", false, where);
    steps_.push_back(
        std::make_shared<Split>(Regex(each ? R"(\p{N})" : R"(\p{N}+)", where), SplitBehavior::Isolated));
  } else if (type == "Metaspace") {
    steps_.push_back(std::make_shared<Metaspace>(Metaspace::from_json(json, where)));
  } else {
    fail(where, "\"{}\" is not supported, expected ByteLevel, Split, Digits, Metaspace or Sequence", type);
  }
}

PreTokenizer PreTokenizer::from_json(const Json& json, const std::string& where) {
  PreTokenizer result;
  for (const Json* step : flat_steps(json, "pretokenizers", where)) result.add(*step, where);
  return result;
}

Words PreTokenizer::split(std::string_view text, bool first) const {
  Words words;
  if (text.empty()) return words;
  words.words = {text};
  for (const auto& step : steps_) step->apply(words, first);
  return words;
}

}  // namespace dmoerm::text
