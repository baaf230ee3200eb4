#include "dmoerm/text/tokenizer.h"

#include <algorithm>

#include "dmoerm/core/file.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/text/added_tokens.h"
#include "dmoerm/text/byte_alphabet.h"
#include "dmoerm/text/json_parts.h"
#include "dmoerm/text/tokenizer_files.h"
#include "dmoerm/text/tokenizer_parts.h"
#include "dmoerm/text/utf8.h"
#include "dmoerm/text/word_cache.h"

namespace dmoerm::text {

struct Tokenizer::Impl {
  Impl(TokenizerFiles tokenizer_files, TokenizerParts tokenizer_parts);

  void number_tokens();
  void read_roles();
  std::optional<int32_t> token_id(std::string_view token) const;
  std::vector<int32_t> encode(std::string_view text, bool special) const;
  void encode_piece(std::string_view text, bool first, bool special, std::vector<int32_t>& ids) const;
  void encode_words(std::string_view text, bool first, std::vector<int32_t>& ids) const;

  TokenizerFiles files;
  std::string chat_template;
  TokenizerParts parts;
  AddedTokens added;
  std::unordered_map<std::string_view, const AddedToken*> added_by_content;
  std::vector<std::string> tokens;  // by id; empty where an id has no token
  std::vector<bool> is_special;     // by id
  std::optional<int32_t> bos, eos, pad;
  mutable WordCache cache;
};

Tokenizer::Impl::Impl(TokenizerFiles tokenizer_files, TokenizerParts tokenizer_parts)
    : files(std::move(tokenizer_files)),
      chat_template(files.chat_template()),
      parts(std::move(tokenizer_parts)),
      added(parts.added_tokens, parts.normalizer, files.source + ": added_tokens") {
  number_tokens();
  read_roles();
}

// Gives every id its token, and checks that the parts agree about them.
void Tokenizer::Impl::number_tokens() {
  int64_t largest = -1;
  for (const auto& [token, id] : parts.model->vocabulary()) largest = std::max<int64_t>(largest, id);
  const int64_t limit = largest + 1 + static_cast<int64_t>(added.tokens().size()) + kIdGaps;
  for (const AddedToken& token : added.tokens()) {
    if (token.id < 0 || token.id >= limit)
      fail(files.source + ": added_tokens", "\"{}\" has the id {}, expected 0 to {}", token.content, token.id,
           limit - 1);
    largest = std::max<int64_t>(largest, token.id);
  }
  tokens.resize(largest + 1);
  is_special.resize(largest + 1);
  for (const auto& [token, id] : parts.model->vocabulary()) tokens[id] = token;
  for (const AddedToken& token : added.tokens()) {
    const auto known = parts.model->token_id(token.content);
    if (known && *known != token.id)
      fail(files.source + ": added_tokens", "\"{}\" has the id {}, but {} in the vocabulary", token.content,
           token.id, *known);
    tokens[token.id] = token.content;
    is_special[token.id] = token.special;
    added_by_content.emplace(token.content, &token);
  }
  for (const auto* ids : {&parts.post_processor.prefix(), &parts.post_processor.suffix()})
    for (const int32_t id : *ids)
      if (id < 0 || id > largest)
        fail(files.source + ": post_processor", "id {} is not in the vocabulary", id);
}

// BOS, EOS and padding, and whether encoding adds the first two.
void Tokenizer::Impl::read_roles() {
  const auto role = [&](const std::string& name) -> std::optional<int32_t> {
    for (const std::string& token : files.role_candidates(name, parts.roles))
      if (const auto id = token_id(token)) return id;
    return std::nullopt;
  };
  bos = role("bos_token");
  eos = role("eos_token");
  pad = role("pad_token");
  const auto adds = [&](const std::string& key, const std::optional<int32_t>& id) -> std::optional<bool> {
    const std::string where = files.beside("tokenizer_config.json");
    if (json_member(files.config, key, where).is_null()) return std::nullopt;
    const auto add = json_field<bool>(files.config, key, where);
    if (add && !id) fail(where, "\"{}\" is true, but the tokenizer has no such token", key);
    return add;
  };
  auto add_bos = adds("add_bos_token", bos);
  if (!add_bos && parts.starts_with_bos) add_bos = true;
  const auto add_eos = adds("add_eos_token", eos);
  if (bos && add_bos) parts.post_processor.set_bos(*bos, *add_bos);
  if (eos && add_eos) parts.post_processor.set_eos(*eos, *add_eos);
}

std::optional<int32_t> Tokenizer::Impl::token_id(std::string_view token) const {
  const auto added_token = added_by_content.find(token);
  if (added_token != added_by_content.end()) return added_token->second->id;
  return parts.model->token_id(token);
}

std::vector<int32_t> Tokenizer::Impl::encode(std::string_view text, bool special) const {
  std::string repaired;
  if (!is_valid_utf8(text)) text = repaired = repair_utf8(text);
  std::vector<int32_t> ids;
  bool first = true;
  for (const TextPiece& piece : added.split_raw(text, special)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      encode_piece(piece.text, first, special, ids);
    }
    first = false;
  }
  return ids;
}

void Tokenizer::Impl::encode_piece(std::string_view text, bool first, bool special,
                                   std::vector<int32_t>& ids) const {
  std::string normalized;
  if (!parts.normalizer.empty()) text = normalized = parts.normalizer.normalize(std::string(text));
  for (const TextPiece& piece : added.split_normalized(text, special)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      encode_words(piece.text, first, ids);
    }
    first = false;
  }
}

void Tokenizer::Impl::encode_words(std::string_view text, bool first, std::vector<int32_t>& ids) const {
  const Words words = parts.pre_tokenizer.split(text, first);
  for (const std::string_view word : words.words) {
    if (cache.append(word, ids)) continue;
    const size_t begin = ids.size();
    if (parts.pre_tokenizer.byte_level()) {
      parts.model->encode(to_byte_alphabet(word), ids);
    } else {
      parts.model->encode(word, ids);
    }
    cache.insert(word, std::span(ids).subspan(begin));
  }
}

Tokenizer::Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Tokenizer Tokenizer::load(const fs::path& path) {
  TokenizerFiles files = TokenizerFiles::read(path);
  TokenizerParts parts = TokenizerParts::read(files);
  return Tokenizer(std::make_shared<const Impl>(std::move(files), std::move(parts)));
}

bool Tokenizer::present(const fs::path& directory) {
  return TokenizerFiles::present(directory);
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  std::vector<int32_t> ids = impl_->encode(text, true);
  if (!add_special_tokens) return ids;
  const PostProcessor& around = impl_->parts.post_processor;
  ids.insert(ids.begin(), around.prefix().begin(), around.prefix().end());
  ids.insert(ids.end(), around.suffix().begin(), around.suffix().end());
  return ids;
}

std::vector<int32_t> Tokenizer::encode_as_text(std::string_view text) const {
  return impl_->encode(text, false);
}

std::vector<int32_t> Tokenizer::encode_rendered(std::string_view text) const {
  std::vector<int32_t> ids = impl_->encode(text, true);
  const auto& prefix = impl_->parts.post_processor.prefix();
  const auto& suffix = impl_->parts.post_processor.suffix();
  if (!prefix.empty() && std::ranges::mismatch(prefix, ids).in1 == prefix.end()) return ids;
  const std::span<const int32_t> all = ids;
  const bool closed = all.size() >= suffix.size() && std::ranges::equal(all.last(suffix.size()), suffix);
  ids.insert(ids.begin(), prefix.begin(), prefix.end());
  if (!closed) ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    const bool known = id >= 0 && id < vocab_size() && !impl_->tokens[id].empty();
    if (known && skip_special_tokens && impl_->is_special[id]) continue;
    tokens.push_back(known ? impl_->tokens[id] : "\xef\xbf\xbd");
  }
  return impl_->parts.decoder.decode(std::move(tokens));
}

int64_t Tokenizer::vocab_size() const {
  return static_cast<int64_t>(impl_->tokens.size());
}
std::optional<int32_t> Tokenizer::token_id(std::string_view token) const {
  return impl_->token_id(token);
}
std::optional<int32_t> Tokenizer::bos_id() const {
  return impl_->bos;
}
std::optional<int32_t> Tokenizer::eos_id() const {
  return impl_->eos;
}
std::optional<int32_t> Tokenizer::pad_id() const {
  return impl_->pad;
}
std::map<std::string, std::string> Tokenizer::special_tokens() const {
  std::map<std::string, std::string> tokens = impl_->files.named_tokens();
  if (impl_->bos) tokens["bos_token"] = impl_->tokens[*impl_->bos];
  if (impl_->eos) tokens["eos_token"] = impl_->tokens[*impl_->eos];
  return tokens;
}
const std::string& Tokenizer::chat_template() const {
  return impl_->chat_template;
}

void Tokenizer::save(const fs::path& directory) const {
  for (const auto& [name, content] : impl_->files.contents) write_file_atomically(directory / name, content);
}

uint64_t Tokenizer::fingerprint() const {
  uint64_t hash = 0;
  for (const auto& [name, content] : impl_->files.contents)
    hash = hash64(content, hash_combine(hash, hash64(name)));
  return hash;
}

}  // namespace dmoerm::text
