#include "dmoerm/text/sentence_piece_model.h"

#include <algorithm>
#include <map>

#include "dmoerm/core/error.h"
#include "dmoerm/text/merge_symbols.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::text {
namespace {

using Type = SentencePieceFile::Type;

// 0 for the highest score of a piece that merging makes, the same for equal scores.
std::vector<int32_t> score_ranks(const SentencePieceFile& file) {
  std::map<float, int32_t, std::greater<>> rank_of;
  const auto mergeable = [](const auto& piece) {
    return piece.type == Type::Normal || piece.type == Type::UserDefined;
  };
  for (const auto& piece : file.pieces)
    if (mergeable(piece)) rank_of.emplace(piece.score, 0);
  int32_t next = 0;
  for (auto& [score, rank] : rank_of) rank = next++;
  std::vector<int32_t> ranks;
  for (const auto& piece : file.pieces) ranks.push_back(mergeable(piece) ? rank_of.at(piece.score) : -1);
  return ranks;
}

}  // namespace

SentencePieceModel::SentencePieceModel(const SentencePieceFile& file)
    : unknown_id_(file.unknown_id), byte_fallback_(file.byte_fallback) {
  for (size_t id = 0; id < file.pieces.size(); ++id)
    ids_.emplace(file.pieces[id].text, static_cast<int32_t>(id));
  for (int byte = 0; byte_fallback_ && byte < 256; ++byte) byte_ids_[byte] = *token_id(byte_piece(byte));
}

void SentencePieceModel::Writer::append(std::string_view part, int32_t id) {
  if (id >= 0) {
    ids_.push_back(id);
  } else if (model_.byte_fallback_) {
    for (const char c : part) ids_.push_back(model_.byte_ids_[static_cast<unsigned char>(c)]);
  } else if (!after_unknown_) {
    ids_.push_back(model_.unknown_id_);
  }
  after_unknown_ = id < 0;
}

SentencePieceBpe::SentencePieceBpe(const SentencePieceFile& file, const std::string& where)
    : SentencePieceModel(file), ranks_(score_ranks(file)) {
  for (size_t id = 0; id < file.pieces.size(); ++id) {
    const auto& piece = file.pieces[id];
    if (piece.type == Type::UserDefined) user_defined_.add(piece.text, static_cast<int32_t>(id));
    if (piece.type == Type::Unused)
      fail(where, "\"{}\" is an unused piece, which is not supported", piece.text);
  }
}

int32_t SentencePieceBpe::piece_id(std::string_view text) const {
  const auto id = token_id(text);
  return id && ranks_[*id] >= 0 ? *id : -1;
}

void SentencePieceBpe::encode_part(std::string_view part, Writer& writer) const {
  std::vector<TextSymbol> symbols;
  symbols.reserve(part.size());
  for (size_t at = 0, begin = 0; at < part.size(); begin = at) {
    next_character(part, at);
    symbols.push_back({begin, at - begin, piece_id(part.substr(begin, at - begin))});
  }
  merge_symbols(symbols, [&](const TextSymbol& left, const TextSymbol& right) {
    const size_t size = left.size + right.size;
    const int32_t id = piece_id(part.substr(left.begin, size));
    return id >= 0 ? std::optional(Merged<TextSymbol>{ranks_[id], {left.begin, size, id}}) : std::nullopt;
  });
  for (const TextSymbol& symbol : symbols) writer.append(part.substr(symbol.begin, symbol.size), symbol.id);
}

void SentencePieceBpe::encode(std::string_view word, std::vector<int32_t>& ids) const {
  Writer writer(*this, ids);
  size_t begin = 0;
  for (size_t at = 0; at < word.size();) {
    size_t size = 0;
    int32_t id = -1;
    user_defined_.visit_prefixes(word.substr(at), [&](size_t longest, int32_t piece) {
      size = longest;
      id = piece;
    });
    if (id < 0) {
      next_character(word, at);
      continue;
    }
    encode_part(word.substr(begin, at - begin), writer);
    writer.append(word.substr(at, size), id);
    begin = at += size;
  }
  encode_part(word.substr(begin), writer);
}

SentencePieceUnigram::SentencePieceUnigram(const SentencePieceFile& file) : SentencePieceModel(file) {
  constexpr float kUnknownPenalty = 10;  // below the lowest score of a piece, as SentencePiece has it
  std::vector<float> normal;
  for (size_t id = 0; id < file.pieces.size(); ++id) {
    const auto& piece = file.pieces[id];
    scores_.push_back(piece.score);
    user_defined_.push_back(piece.type == Type::UserDefined);
    if (piece.type == Type::Normal) normal.push_back(piece.score);
    if (piece.type == Type::Normal || piece.type == Type::UserDefined)
      pieces_.add(piece.text, static_cast<int32_t>(id));
  }
  max_score_ = normal.empty() ? 0 : *std::ranges::max_element(normal);
  unknown_score_ = (normal.empty() ? 0 : *std::ranges::min_element(normal)) - kUnknownPenalty;
}

void SentencePieceUnigram::encode(std::string_view word, std::vector<int32_t>& ids) const {
  struct Node {
    float score = 0;
    size_t begin = 0;  // of the best last piece
    int32_t id = -1;
    bool reached = false;
  };
  std::vector<Node> best(word.size() + 1);  // by the place where a segmentation ends
  const auto offer = [&](size_t begin, size_t end, int32_t id, float score) {
    const float total = best[begin].score + score;
    if (!best[end].reached || total > best[end].score) best[end] = {total, begin, id, true};
  };
  for (size_t begin = 0, next = 0; begin < word.size(); begin = next) {
    next_character(word, next);
    bool covered = false;
    pieces_.visit_prefixes(word.substr(begin), [&](size_t size, int32_t id) {
      const float score =
          user_defined_[id] ? static_cast<float>(static_cast<float>(size) * max_score_ - 0.1) : scores_[id];
      offer(begin, begin + size, id, score);
      covered |= begin + size == next;
    });
    if (!covered) offer(begin, next, -1, unknown_score_);
  }
  std::vector<std::pair<std::string_view, int32_t>> parts;
  for (size_t end = word.size(); end > 0; end = best[end].begin)
    parts.emplace_back(word.substr(best[end].begin, end - best[end].begin), best[end].id);
  Writer writer(*this, ids);
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) writer.append(part->first, part->second);
}

}  // namespace dmoerm::text
