// A SentencePiece model (Kudo and Richardson 2018) as it lies in tokenizer.model: the protobuf message
// ModelProto of sentencepiece_model.proto. Read here, because Debian's libsentencepiece carries a protobuf of
// its own that cannot live in one process with LibTorch's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::text {

struct SentencePieceFile {
  enum class Type { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };
  enum class Model { Unigram = 1, Bpe = 2, Word = 3, Char = 4 };
  struct Piece {
    std::string text;
    float score = 0;
    Type type = Type::Normal;
  };

  // Error, naming `where`, for damage and for what is not supported.
  static SentencePieceFile parse(std::string_view bytes, const std::string& where);

  std::vector<Piece> pieces;  // by id
  int32_t unknown_id = -1;
  Model model = Model::Unigram;
  bool byte_fallback = false, whitespace_as_suffix = false;
  std::string bos_piece = "<s>", eos_piece = "</s>", pad_piece = "<pad>";
  std::string characters_map;  // NormalizerSpec's precompiled_charsmap
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;

 private:
  void check(const std::string& where);
};

// "<0x41>", the piece that stands for a byte.
std::string byte_piece(int byte);

}  // namespace dmoerm::text
