#include "dmoerm/text/tokenizer_trainer.h"

#include <algorithm>

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/core/log.h"
#include "dmoerm/text/byte_alphabet.h"
#include "dmoerm/text/chat_format.h"
#include "dmoerm/text/text_reader.h"

namespace dmoerm::text {
namespace {

// Qwen2's pattern: contractions, words with one character before them, single digits, punctuation, line ends,
// spaces.
constexpr const char* kPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Json normalizer_json() {
  return {{"type", "NFC"}};
}

Json byte_level_json(bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json pre_tokenizer_json() {
  const Json split = {
      {"type", "Split"}, {"pattern", {{"Regex", kPattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", Json::array({split, byte_level_json(false)})}};
}

// BOS in front of a sequence, where the format has one.
Json post_processor_json(const std::string& bos, int32_t id) {
  if (bos.empty()) return nullptr;
  const auto special = [&](int type) { return Json{{"SpecialToken", {{"id", bos}, {"type_id", type}}}}; };
  const auto sequence = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  return {
      {"type", "TemplateProcessing"},
      {"single", Json::array({special(0), sequence("A", 0)})},
      {"pair", Json::array({special(0), sequence("A", 0), special(1), sequence("B", 1)})},
      {"special_tokens", {{bos, {{"id", bos}, {"ids", Json::array({id})}, {"tokens", Json::array({bos})}}}}}};
}

Json added_token_json(const std::string& content) {
  return {{"content", content}, {"lstrip", false},      {"normalized", false},
          {"rstrip", false},    {"single_word", false}, {"special", true}};
}

// Ids: special tokens, the bytes in the order of their characters, the merged tokens in the order they were
// learned.
Json model_json(const std::vector<std::string>& special,
                const std::vector<std::pair<std::string, std::string>>& merges) {
  Json vocabulary = Json::object(), pairs = Json::array();
  int32_t id = 0;
  for (const std::string& token : special) vocabulary[token] = id++;
  std::vector<std::string> alphabet(byte_alphabet().begin(), byte_alphabet().end());
  std::sort(alphabet.begin(), alphabet.end());
  for (const std::string& character : alphabet) vocabulary[character] = id++;
  for (const auto& [left, right] : merges) {
    const std::string a = to_byte_alphabet(left), b = to_byte_alphabet(right);
    pairs.push_back(Json::array({a, b}));
    if (!vocabulary.contains(a + b)) vocabulary[a + b] = id++;
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", vocabulary},
          {"merges", pairs}};
}

Json tokenizer_json(const ChatFormat& format,
                    const std::vector<std::pair<std::string, std::string>>& merges) {
  const std::vector<std::string> special = format.special_tokens();
  Json added = Json::array();
  for (size_t id = 0; id < special.size(); ++id) {
    added.push_back(added_token_json(special[id]));
    added.back()["id"] = id;
  }
  const auto bos = std::find(special.begin(), special.end(), format.bos_token());
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", normalizer_json()},
          {"pre_tokenizer", pre_tokenizer_json()},
          {"post_processor",
           post_processor_json(format.bos_token(), static_cast<int32_t>(bos - special.begin()))},
          {"decoder", byte_level_json(true)},
          {"model", model_json(special, merges)}};
}

Json tokenizer_config_json(const ChatFormat& format) {
  Json decoder = Json::object();
  const std::vector<std::string> special = format.special_tokens();
  for (size_t id = 0; id < special.size(); ++id) decoder[std::to_string(id)] = added_token_json(special[id]);
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"bos_token", format.bos_token().empty() ? Json() : Json(format.bos_token())},
          {"eos_token", format.eos_token()},
          {"pad_token", format.pad_token()},
          {"unk_token", nullptr},
          {"additional_special_tokens", special},
          {"added_tokens_decoder", decoder},
          {"chat_template", format.chat_template()},
          {"clean_up_tokenization_spaces", false},
          {"padding_side", "right"}};
}

// Tokens left for merges; Error for a vocabulary that is too small.
int64_t num_learned_tokens(const TokenizerTrainOptions& options) {
  const ChatFormat format = ChatFormat::named(options.chat_format);
  const int64_t fixed = 256 + static_cast<int64_t>(format.special_tokens().size());
  if (options.vocab_size < fixed)
    fail("tokenizer", "vocab_size is {}, expected at least {}: 256 bytes and the special tokens of {}",
         options.vocab_size, fixed, format.name());
  return options.vocab_size - fixed;
}

}  // namespace

WordCounter tokenizer_word_counter() {
  return WordCounter(Normalizer::from_json(normalizer_json(), "tokenizer"),
                     PreTokenizer::from_json(pre_tokenizer_json(), "tokenizer"));
}

void write_tokenizer(const WordCounts& words, const TokenizerTrainOptions& options) {
  const ChatFormat format = ChatFormat::named(options.chat_format);
  const int64_t num_learned = num_learned_tokens(options);
  if (words.empty()) fail("tokenizer", "the input holds no text");
  const auto merges = train_bpe(words, num_learned);
  const Json tokenizer = tokenizer_json(format, merges);
  const auto size = static_cast<int64_t>(tokenizer["model"]["vocab"].size());
  if (size < options.vocab_size)
    log().warn("tokenizer: {} tokens instead of {}: no further pair of tokens occurs twice", size,
               options.vocab_size);
  write_file_atomically(options.output / "tokenizer.json", dump_json(tokenizer, 1) + "\n");
  write_file_atomically(options.output / "tokenizer_config.json",
                        dump_json(tokenizer_config_json(format), 2) + "\n");
}

void train_tokenizer(const TokenizerTrainOptions& options) {
  num_learned_tokens(options);  // refuses bad options before anything is read
  WordCounter counter = tokenizer_word_counter();
  TextReader reader(options.inputs);
  {
    Progress progress("reading", options.max_bytes, "bytes");
    int64_t read = 0;
    for (std::string text; (options.max_bytes == 0 || read < options.max_bytes) && reader.next(text);) {
      counter.add(text);
      read += static_cast<int64_t>(text.size());
      progress.advance(static_cast<int64_t>(text.size()));
    }
  }
  write_tokenizer(counter.counts(), options);
}

}  // namespace dmoerm::text
