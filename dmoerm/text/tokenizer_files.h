// The files of a tokenizer directory, and what they say beside tokenizer.json.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dmoerm::text {

struct TokenizerFiles {
  // Error when there is no tokenizer.json, or a file cannot be read. Reads plain and gzip files.
  static TokenizerFiles read(const std::filesystem::path& path);

  std::string source;                           // of tokenizer.json, for messages
  std::map<std::string, std::string> contents;  // by name, as they are written again: never compressed

  // The token that plays a role ("bos_token", "eos_token", "pad_token"): candidates, best first. One that
  // tokenizer_config.json or special_tokens_map.json names stands alone; null there means none.
  std::vector<std::string> role_candidates(const std::string& role) const;
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
