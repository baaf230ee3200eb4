#include "dmoerm/text/tokenizer.h"

#include <algorithm>

#include "dmoerm/core/file.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/text/added_tokens.h"
#include "dmoerm/text/bpe_model.h"
#include "dmoerm/text/byte_alphabet.h"
#include "dmoerm/text/json_parts.h"
#include "dmoerm/text/normalizer.h"
#include "dmoerm/text/post_processor.h"
#include "dmoerm/text/pre_tokenizer.h"
#include "dmoerm/text/token_decoder.h"
#include "dmoerm/text/tokenizer_files.h"
#include "dmoerm/text/utf8.h"
#include "dmoerm/text/word_cache.h"

namespace dmoerm::text {

struct Tokenizer::Impl {
  Impl(TokenizerFiles tokenizer_files, const Json& json);

  void number_tokens();
  std::optional<int32_t> token_id(std::string_view token) const;
  void encode_piece(std::string_view text, bool first, std::vector<int32_t>& ids) const;
  void encode_words(std::string_view text, bool first, std::vector<int32_t>& ids) const;

  TokenizerFiles files;
  std::string chat_template;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  BpeModel model;
  PostProcessor post_processor;
  TokenDecoder decoder;
  AddedTokens added;
  std::unordered_map<std::string_view, const AddedToken*> added_by_content;
  std::vector<std::string> tokens;  // by id; empty where an id has no token
  std::vector<bool> special;        // by id
  std::optional<int32_t> bos, eos, pad;
  std::string prefix_text;  // what the post-processor puts in front
  mutable WordCache cache;
};

Tokenizer::Impl::Impl(TokenizerFiles tokenizer_files, const Json& json)
    : files(std::move(tokenizer_files)),
      chat_template(files.chat_template()),
      normalizer(Normalizer::from_json(json_member(json, "normalizer", files.source),
                                       files.source + ": normalizer")),
      pre_tokenizer(PreTokenizer::from_json(json_member(json, "pre_tokenizer", files.source),
                                            files.source + ": pre_tokenizer")),
      model(BpeModel::from_json(json_member(json, "model", files.source), files.source + ": model")),
      post_processor(PostProcessor::from_json(json_member(json, "post_processor", files.source),
                                              files.source + ": post_processor")),
      decoder(
          TokenDecoder::from_json(json_member(json, "decoder", files.source), files.source + ": decoder")),
      added(json_member(json, "added_tokens", files.source), normalizer, files.source + ": added_tokens") {
  number_tokens();
  const auto role = [&](const std::string& name) -> std::optional<int32_t> {
    for (const std::string& token : files.role_candidates(name))
      if (const auto id = token_id(token)) return id;
    return std::nullopt;
  };
  bos = role("bos_token");
  eos = role("eos_token");
  pad = role("pad_token");
}

// Gives every id its token, and checks that the parts agree about them.
void Tokenizer::Impl::number_tokens() {
  int64_t largest = -1;
  for (const auto& [token, id] : model.vocabulary()) largest = std::max<int64_t>(largest, id);
  const int64_t limit = largest + 1 + static_cast<int64_t>(added.tokens().size()) + (1 << 16);
  for (const AddedToken& token : added.tokens()) {
    if (token.id < 0 || token.id >= limit)
      fail(files.source + ": added_tokens", "\"{}\" has the id {}, expected 0 to {}", token.content, token.id,
           limit - 1);
    largest = std::max<int64_t>(largest, token.id);
  }
  tokens.resize(largest + 1);
  special.resize(largest + 1);
  for (const auto& [token, id] : model.vocabulary()) tokens[id] = token;
  for (const AddedToken& token : added.tokens()) {
    const auto known = model.token_id(token.content);
    if (known && *known != token.id)
      fail(files.source + ": added_tokens", "\"{}\" has the id {}, but {} in the vocabulary", token.content,
           token.id, *known);
    tokens[token.id] = token.content;
    special[token.id] = token.special;
    added_by_content.emplace(token.content, &token);
  }
  for (const auto* ids : {&post_processor.prefix(), &post_processor.suffix()})
    for (const int32_t id : *ids)
      if (id < 0 || id > largest)
        fail(files.source + ": post_processor", "id {} is not in the vocabulary", id);
  for (const int32_t id : post_processor.prefix()) prefix_text += tokens[id];
}

std::optional<int32_t> Tokenizer::Impl::token_id(std::string_view token) const {
  const auto added_token = added_by_content.find(token);
  if (added_token != added_by_content.end()) return added_token->second->id;
  return model.token_id(token);
}

void Tokenizer::Impl::encode_piece(std::string_view text, bool first, std::vector<int32_t>& ids) const {
  const std::string normalized = normalizer.empty() ? std::string() : normalizer.normalize(std::string(text));
  for (const TextPiece& piece : added.split_normalized(normalizer.empty() ? text : normalized)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      encode_words(piece.text, first, ids);
    }
    first = false;
  }
}

void Tokenizer::Impl::encode_words(std::string_view text, bool first, std::vector<int32_t>& ids) const {
  const Words words = pre_tokenizer.split(text, first);
  for (const std::string_view word : words.words) {
    if (cache.append(word, ids)) continue;
    const size_t begin = ids.size();
    if (pre_tokenizer.byte_level()) {
      model.encode(to_byte_alphabet(word), ids);
    } else {
      model.encode(word, ids);
    }
    cache.insert(word, std::span(ids).subspan(begin));
  }
}

Tokenizer::Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Tokenizer Tokenizer::load(const fs::path& path) {
  TokenizerFiles files = TokenizerFiles::read(path);
  const Json json = parse_json(files.contents.at("tokenizer.json"), files.source);
  return Tokenizer(std::make_shared<const Impl>(std::move(files), json));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  std::string repaired;
  if (!is_valid_utf8(text)) text = repaired = repair_utf8(text);
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = impl_->post_processor.prefix();
  bool first = true;
  for (const TextPiece& piece : impl_->added.split_raw(text)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      impl_->encode_piece(piece.text, first, ids);
    }
    first = false;
  }
  const std::vector<int32_t>& suffix = impl_->post_processor.suffix();
  if (add_special_tokens) ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

std::vector<int32_t> Tokenizer::encode_rendered(std::string_view text) const {
  const bool complete = !impl_->prefix_text.empty() && text.starts_with(impl_->prefix_text);
  return encode(text, !complete);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    const bool known = id >= 0 && id < vocab_size() && !impl_->tokens[id].empty();
    if (known && skip_special_tokens && impl_->special[id]) continue;
    tokens.push_back(known ? impl_->tokens[id] : "\xef\xbf\xbd");
  }
  return impl_->decoder.decode(std::move(tokens));
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
