// The files of a tokenizer directory, and what they say beside the tokenizer itself.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/core/json.h"

namespace dmoerm::text {

struct TokenizerFiles {
  // What the main file is: tokenizer.json, a SentencePiece model, a rank file of tiktoken, vocab.json with
  // merges.txt.
  enum class Kind { Json, SentencePiece, Ranks, VocabMerges };

  // `path`: a directory, in which the first of the list above that is there counts, or the main file itself.
  // Reads plain and gzip files. Error when there is none, or a file cannot be read or is larger than 256 MiB
  // when it is decompressed.
  static TokenizerFiles read(const std::filesystem::path& path);
  static bool present(const std::filesystem::path& directory);

  Kind kind = Kind::Json;
  std::string source;                           // the main file's path, for messages
  std::string name;                             // and its name in `contents`
  std::map<std::string, std::string> contents;  // by name, as they are written again: never compressed
  Json config = Json::object();                 // tokenizer_config.json
  Json special_tokens_map = Json::object();     // special_tokens_map.json

  const std::string& main_content() const { return contents.at(name); }
  std::string beside(const std::string& file) const;  // its path, for messages

  // The token that plays a role ("bos_token", "eos_token", "pad_token"): candidates, best first. One that
  // tokenizer_config.json, special_tokens_map.json or `own` names stands alone; null means none.
  std::vector<std::string> role_candidates(const std::string& role,
                                           const std::map<std::string, std::string>& own) const;
  // The tokens that tokenizer_config.json ("added_tokens_decoder") or added_tokens.json adds, in the form of
  // tokenizer.json's list.
  Json added_tokens() const;
  // The special tokens that these files name, by role ("bos_token", "unk_token"…).
  std::map<std::string, std::string> named_tokens() const;
  // chat_template.jinja, else "chat_template" of tokenizer_config.json: a text, or the "default" one of a
  // list of {"name", "template"}. "" when there is none.
  std::string chat_template() const;

 private:
  // Nothing when no file names the role; an empty inner value when one says that there is no such token.
  std::optional<std::optional<std::string>> named_token(const std::string& role) const;
};

}  // namespace dmoerm::text
