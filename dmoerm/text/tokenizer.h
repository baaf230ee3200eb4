// Tokenizers as published with models: tokenizer.json, SentencePiece models, tiktoken rank files, vocab.json
// with merges.txt.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::text {

class Tokenizer {
 public:
  // A directory that holds tokenizer.json, tokenizer.model, *.tiktoken or vocab.json with merges.txt (the
  // first of these that is there counts) and tokenizer_config.json, or the main file itself. Error, naming
  // the part, when the file is damaged or holds a kind of tokenizer that is not supported.
  static Tokenizer load(const std::filesystem::path& path);
  // Whether a directory holds any of those files.
  static bool present(const std::filesystem::path& directory);

  // Added and special tokens standing in `text` are recognised. With `add_special_tokens` the post-processor
  // (BOS and the like) runs too. Invalid UTF-8 becomes U+FFFD, never an error.
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = false) const;

  // The same where nothing in `text` is a special token: "<s>" is three characters.
  std::vector<int32_t> encode_as_text(std::string_view text) const;

  // For text that a chat format rendered, or that a user wrote in full: adds the special tokens, unless the
  // text begins with them already. Never a double BOS, never a double EOS.
  std::vector<int32_t> encode_rendered(std::string_view text) const;

  // Never fails: ids outside the vocabulary and bytes that form no character become U+FFFD.
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens = false) const;

  int64_t vocab_size() const;  // one more than the largest id
  std::optional<int32_t> token_id(std::string_view token) const;
  // From tokenizer_config.json (or the usual names when it says nothing).
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;
  std::optional<int32_t> pad_id() const;
  // The special tokens by name ("bos_token", "unk_token"…), as chat templates read them.
  std::map<std::string, std::string> special_tokens() const;
  // The chat template (Jinja) that came with the tokenizer; "" when there is none. See ChatFormat::find().
  const std::string& chat_template() const;

  // Copies the files that it was loaded from into `directory` (plain, never compressed).
  void save(const std::filesystem::path& directory) const;
  // Hash of the tokenizer's content, for caches.
  uint64_t fingerprint() const;

 private:
  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;  // immutable: copies are cheap and encode() is safe from many threads
};

}  // namespace dmoerm::text
