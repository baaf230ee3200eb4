#include "dmoerm/text/sentence_piece_parts.h"

#include <limits>

#include "dmoerm/text/pre_tokenizer_steps.h"
#include "dmoerm/text/sentence_piece_model.h"
#include "dmoerm/text/sentence_piece_normalizer.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::text {
namespace {

Json decoder_json(const SentencePieceFile& file) {
  Json steps = Json::array({{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
                            {{"type", "ByteFallback"}},
                            {{"type", "Fuse"}}});
  const int start = file.remove_extra_whitespaces ? std::numeric_limits<int>::max() : file.add_dummy_prefix;
  if (start > 0) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", start}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

// A damaged piece may hold bytes that are no text; special ones are looked for in texts.
void check_text(const std::string& piece, const std::string& where) {
  if (!is_valid_utf8(piece)) fail(where, "a special piece is not valid UTF-8");
}

}  // namespace

TokenizerParts read_sentence_piece(const TokenizerFiles& files) {
  const std::string& where = files.source;
  const auto file = SentencePieceFile::parse(files.main_content(), where);
  const bool legacy = json_field_or(files.config, "legacy", true, files.beside("tokenizer_config.json"));
  TokenizerParts parts;
  const auto normalizer = std::make_shared<const SentencePieceNormalizer>(file, !legacy, where);
  parts.pre_tokenizer.append(normalizer);
  if (file.model == SentencePieceFile::Model::Bpe) {
    parts.model = std::make_unique<const SentencePieceBpe>(file, where);
  } else {
    parts.model = std::make_unique<const SentencePieceUnigram>(file);
  }
  if (SpaceWords::changes_nothing(parts.model->vocabulary(), normalizer->space()))
    parts.pre_tokenizer.append(std::make_shared<const SpaceWords>(normalizer->space()));
  parts.decoder = TokenDecoder::from_json(decoder_json(file), where);
  for (size_t id = 0; id < file.pieces.size(); ++id) {
    const auto& piece = file.pieces[id];
    if (piece.type != SentencePieceFile::Type::Control && piece.type != SentencePieceFile::Type::Unknown)
      continue;
    check_text(piece.text, where);
    parts.added_tokens.push_back(
        {{"id", id}, {"content", piece.text}, {"special", true}, {"normalized", false}});
  }
  parts.roles = {{"bos_token", file.bos_piece}, {"eos_token", file.eos_piece}, {"pad_token", file.pad_piece}};
  parts.starts_with_bos = true;
  return parts;
}

}  // namespace dmoerm::text
