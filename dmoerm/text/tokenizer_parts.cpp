#include "dmoerm/text/tokenizer_parts.h"

#include <algorithm>
#include <set>

#include "dmoerm/text/bpe_model.h"
#include "dmoerm/text/byte_preset.h"
#include "dmoerm/text/json_parts.h"
#include "dmoerm/text/pre_tokenizer_steps.h"
#include "dmoerm/text/rank_model.h"
#include "dmoerm/text/sentence_piece_parts.h"

namespace dmoerm::text {
namespace {

TokenizerParts read_json(const TokenizerFiles& files) {
  const Json json = parse_json(files.main_content(), files.source);
  const auto member = [&](const char* key) -> const Json& { return json_member(json, key, files.source); };
  const auto where = [&](const char* key) { return files.source + ": " + key; };
  TokenizerParts parts;
  parts.normalizer = Normalizer::from_json(member("normalizer"), where("normalizer"));
  parts.pre_tokenizer = PreTokenizer::from_json(member("pre_tokenizer"), where("pre_tokenizer"));
  parts.model = std::make_unique<const BpeModel>(BpeModel::from_json(member("model"), where("model")));
  if (!parts.pre_tokenizer.byte_level() && SpaceWords::changes_nothing(parts.model->vocabulary(), "▁"))
    parts.pre_tokenizer.append(std::make_shared<const SpaceWords>("▁"));
  parts.post_processor = PostProcessor::from_json(member("post_processor"), where("post_processor"));
  parts.decoder = TokenDecoder::from_json(member("decoder"), where("decoder"));
  parts.added_tokens = member("added_tokens");
  return parts;
}

Json special_token(int32_t id, const std::string& content) {
  return {{"id", id}, {"content", content}, {"special", true}, {"normalized", false}};
}

void apply_preset(const BytePreset& preset, TokenizerParts& parts) {
  if (preset.nfc) parts.normalizer = Normalizer::from_json({{"type", "NFC"}}, preset.name);
  parts.starts_with_bos = preset.starts_with_bos;
  int32_t next = 0;
  for (const auto& [token, id] : parts.model->vocabulary()) next = std::max(next, id + 1);
  for (const std::string& content : preset.special_tokens) {
    const auto known = parts.model->token_id(content);
    parts.added_tokens.push_back(special_token(known ? *known : next++, content));
  }
}

TokenizerParts read_ranks(const TokenizerFiles& files) {
  TokenizerParts parts;
  parts.model = std::make_unique<const RankModel>(RankModel::parse(files.main_content(), files.source));
  const BytePreset& preset = choose_preset(files, static_cast<int64_t>(parts.model->vocabulary().size()));
  const Json split = {{"type", "Split"}, {"pattern", {{"Regex", preset.pattern}}}, {"behavior", "Isolated"}};
  parts.pre_tokenizer = PreTokenizer::from_json(split, preset.name);
  parts.decoder = TokenDecoder::from_json({{"type", "Fuse"}}, preset.name);
  apply_preset(preset, parts);
  return parts;
}

// The lines of merges.txt, without the "#version" line that most of them begin with.
Json read_merge_lines(std::string_view text) {
  Json merges = Json::array();
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || (merges.empty() && line.starts_with("#version"))) continue;
    merges.push_back(std::string(line));
  }
  return merges;
}

TokenizerParts read_vocab_merges(const TokenizerFiles& files) {
  const Json model = {{"type", "BPE"},
                      {"vocab", parse_json(files.main_content(), files.source)},
                      {"merges", read_merge_lines(files.contents.at("merges.txt"))}};
  TokenizerParts parts;
  parts.model = std::make_unique<const BpeModel>(BpeModel::from_json(model, files.source));
  const BytePreset& preset = choose_preset(files, static_cast<int64_t>(parts.model->vocabulary().size()));
  const bool gpt2_pattern = *preset.pattern == '\0';
  Json steps = Json::array();
  if (!gpt2_pattern)
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", preset.pattern}}}, {"behavior", "Isolated"}});
  const bool prefix_space =
      json_field_or(files.config, "add_prefix_space", false, files.beside("tokenizer_config.json"));
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"use_regex", gpt2_pattern}});
  parts.pre_tokenizer =
      PreTokenizer::from_json({{"type", "Sequence"}, {"pretokenizers", steps}}, preset.name);
  parts.decoder = TokenDecoder::from_json({{"type", "ByteLevel"}}, preset.name);
  apply_preset(preset, parts);
  return parts;
}

TokenizerParts read_main(const TokenizerFiles& files) {
  switch (files.kind) {
    case TokenizerFiles::Kind::SentencePiece:
      return read_sentence_piece(files);
    case TokenizerFiles::Kind::Ranks:
      return read_ranks(files);
    case TokenizerFiles::Kind::VocabMerges:
      return read_vocab_merges(files);
    default:
      return read_json(files);
  }
}

}  // namespace

TokenizerParts TokenizerParts::read(const TokenizerFiles& files) {
  TokenizerParts parts = read_main(files);
  const Json further = files.added_tokens();
  // A preset's own special tokens are a guess, which the directory's list replaces.
  const bool guessed =
      files.kind == TokenizerFiles::Kind::Ranks || files.kind == TokenizerFiles::Kind::VocabMerges;
  if (guessed && !further.empty()) parts.added_tokens = Json::array();
  if (parts.added_tokens.is_null()) parts.added_tokens = Json::array();
  if (!parts.added_tokens.is_array()) return parts;  // refused where the list is read
  std::set<Json> known;
  for (const Json& token : parts.added_tokens)
    if (token.is_object() && token.contains("content")) known.insert(token["content"]);
  for (const Json& token : further)
    if (!token.contains("content") || known.insert(token["content"]).second)
      parts.added_tokens.push_back(token);
  return parts;
}

}  // namespace dmoerm::text
