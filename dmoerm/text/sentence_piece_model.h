// What SentencePiece's two models share: the pieces, and what becomes of a character that no piece covers.
#pragma once

#include <array>

#include "dmoerm/text/byte_trie.h"
#include "dmoerm/text/sentence_piece_file.h"
#include "dmoerm/text/word_model.h"

namespace dmoerm::text {

class SentencePieceModel : public WordModel {
 protected:
  explicit SentencePieceModel(const SentencePieceFile& file);

  // Appends the ids of parts of a word; id -1 marks a part that no piece covers: it becomes its bytes' pieces
  // or, once for a run of such parts, the unknown piece.
  class Writer {
   public:
    Writer(const SentencePieceModel& model, std::vector<int32_t>& ids) : model_(model), ids_(ids) {}
    void append(std::string_view part, int32_t id);

   private:
    const SentencePieceModel& model_;
    std::vector<int32_t>& ids_;
    bool after_unknown_ = false;
  };

 private:
  int32_t unknown_id_;
  bool byte_fallback_;
  std::array<int32_t, 256> byte_ids_{};
};

// Byte-pair encoding: the neighbours whose concatenation has the highest score merge first.
class SentencePieceBpe : public SentencePieceModel {
 public:
  SentencePieceBpe(const SentencePieceFile& file, const std::string& where);
  void encode(std::string_view word, std::vector<int32_t>& ids) const override;

 private:
  int32_t piece_id(std::string_view text) const;  // -1 when merging never makes it
  void encode_part(std::string_view part, Writer& writer) const;

  std::vector<int32_t> ranks_;  // by id: 0 for the highest score; -1: merging never makes the piece
  ByteTrie user_defined_;       // pieces that are taken as they stand
};

// The unigram language model (Kudo 2018): the segmentation of the highest total score.
class SentencePieceUnigram : public SentencePieceModel {
 public:
  explicit SentencePieceUnigram(const SentencePieceFile& file);
  void encode(std::string_view word, std::vector<int32_t>& ids) const override;

 private:
  ByteTrie pieces_;
  std::vector<float> scores_;  // by id
  std::vector<bool> user_defined_;
  float unknown_score_, max_score_;
};

}  // namespace dmoerm::text
