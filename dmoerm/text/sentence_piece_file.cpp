#include "dmoerm/text/sentence_piece_file.h"

#include <cmath>
#include <cstring>
#include <unordered_set>

#include "dmoerm/core/error.h"

namespace dmoerm::text {
namespace {

// Protobuf's wire format: fields one after another, each a number, a wire type and a value.
class WireReader {
 public:
  WireReader(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  bool next() {  // false at the end
    if (bytes_.empty()) return false;
    const uint64_t key = varint();
    if (key >> 3 == 0 || key >> 3 > kLastField) damaged();
    field_ = static_cast<int>(key >> 3);
    wire_type_ = static_cast<int>(key & 7);
    if (wire_type_ == 0) {
      number_ = varint();
    } else if (wire_type_ == 1) {
      value_ = take(8);
    } else if (wire_type_ == 2) {
      value_ = take(varint());
    } else if (wire_type_ == 5) {
      value_ = take(4);
    } else {
      damaged();
    }
    return true;
  }

  int field() const { return field_; }
  uint64_t number() const { return of_type(0), number_; }
  bool flag() const { return number() != 0; }
  std::string_view bytes() const { return of_type(2), value_; }
  std::string text() const { return std::string(bytes()); }
  float real() const {
    of_type(5);
    float value = 0;
    std::memcpy(&value, value_.data(), sizeof value);  // little-endian, as every machine that we run on
    return value;
  }

 private:
  static constexpr uint64_t kLastField = (1 << 29) - 1;
  [[noreturn]] void damaged() const { fail(where_, "the file is damaged or no SentencePiece model"); }
  void of_type(int wire_type) const {
    if (wire_type_ != wire_type) damaged();
  }
  std::string_view take(uint64_t size) {
    if (size > bytes_.size()) damaged();
    const std::string_view value = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return value;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    damaged();
  }

  std::string_view bytes_, value_;
  const std::string& where_;
  uint64_t number_ = 0;
  int field_ = 0, wire_type_ = 0;
};

SentencePieceFile::Piece read_piece(std::string_view bytes, const std::string& where) {
  SentencePieceFile::Piece piece;
  for (WireReader reader(bytes, where); reader.next();) {
    if (reader.field() == 1) piece.text = reader.text();
    if (reader.field() == 2) piece.score = reader.real();
    if (reader.field() == 3) {
      if (reader.number() < 1 || reader.number() > 6)
        fail(where, "a piece has the type {}, expected 1 to 6", reader.number());
      piece.type = static_cast<SentencePieceFile::Type>(reader.number());
    }
  }
  return piece;
}

void read_trainer(std::string_view bytes, const std::string& where, SentencePieceFile& file) {
  for (WireReader reader(bytes, where); reader.next();) {
    if (reader.field() == 3) {
      if (reader.number() < 1 || reader.number() > 2)
        fail(where, "the model type is {}, expected 1 (unigram) or 2 (BPE)", reader.number());
      file.model = static_cast<SentencePieceFile::Model>(reader.number());
    }
    if (reader.field() == 24) file.whitespace_as_suffix = reader.flag();
    if (reader.field() == 35) file.byte_fallback = reader.flag();
    if (reader.field() == 46) file.bos_piece = reader.text();
    if (reader.field() == 47) file.eos_piece = reader.text();
    if (reader.field() == 48) file.pad_piece = reader.text();
  }
}

void read_normalizer(std::string_view bytes, const std::string& where, SentencePieceFile& file) {
  for (WireReader reader(bytes, where); reader.next();) {
    if (reader.field() == 2) file.characters_map = reader.text();
    if (reader.field() == 3) file.add_dummy_prefix = reader.flag();
    if (reader.field() == 4) file.remove_extra_whitespaces = reader.flag();
    if (reader.field() == 5) file.escape_whitespaces = reader.flag();
  }
}

void refuse_denormalizer(std::string_view bytes, const std::string& where) {
  for (WireReader reader(bytes, where); reader.next();)
    if (reader.field() == 2 && !reader.bytes().empty()) fail(where, "a denormalizer is not supported");
}

}  // namespace

std::string byte_piece(int byte) {
  return fmt::format("<0x{:02X}>", byte);
}

SentencePieceFile SentencePieceFile::parse(std::string_view bytes, const std::string& where) {
  SentencePieceFile file;
  for (WireReader reader(bytes, where); reader.next();) {
    if (reader.field() == 1) file.pieces.push_back(read_piece(reader.bytes(), where));
    if (reader.field() == 2) read_trainer(reader.bytes(), where, file);
    if (reader.field() == 3) read_normalizer(reader.bytes(), where, file);
    if (reader.field() == 5) refuse_denormalizer(reader.bytes(), where);
  }
  file.check(where);
  return file;
}

void SentencePieceFile::check(const std::string& where) {
  if (pieces.empty()) fail(where, "the SentencePiece model holds no pieces");
  if (whitespace_as_suffix) fail(where, "\"treat_whitespace_as_suffix\" is not supported");
  std::unordered_set<std::string> known, bytes;
  for (size_t id = 0; id < pieces.size(); ++id) {
    const Piece& piece = pieces[id];
    if (piece.text.empty()) fail(where, "piece {} is empty", id);
    if (std::isnan(piece.score)) fail(where, "piece {} has the score NaN", id);
    if (!known.insert(piece.text).second) fail(where, "piece {} is an earlier one too", id);
    if (piece.type == Type::Byte) bytes.insert(piece.text);
    if (piece.type != Type::Unknown) continue;
    if (unknown_id >= 0) fail(where, "pieces {} and {} both stand for unknown text", unknown_id, id);
    unknown_id = static_cast<int32_t>(id);
  }
  if (unknown_id < 0) fail(where, "no piece stands for unknown text");
  for (int byte = 0; byte_fallback && byte < 256; ++byte)
    if (bytes.count(byte_piece(byte)) == 0) fail(where, "there is no piece for the byte 0x{:02X}", byte);
}

}  // namespace dmoerm::text
