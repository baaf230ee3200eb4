#include "dmoerm/text/rank_model.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "dmoerm/core/error.h"
#include "dmoerm/text/merge_symbols.h"

namespace dmoerm::text {
namespace {

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::string bytes;
  uint32_t bits = 0;
  int num_bits = 0;
  for (const char c : text.substr(0, text.size() - padding)) {
    const int digit = base64_digit(c);
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    num_bits += 6;
    if (num_bits < 8) continue;
    num_bits -= 8;
    bytes += static_cast<char>(bits >> num_bits & 0xff);
  }
  return bytes;
}

struct RankLine {
  std::string token;
  int64_t rank;
};

std::optional<RankLine> read_line(std::string_view line) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  auto token = from_base64(line.substr(0, space));
  int64_t rank = -1;
  const auto result = std::from_chars(line.data() + space + 1, line.data() + line.size(), rank);
  if (!token || result.ec != std::errc() || result.ptr != line.data() + line.size() || rank < 0)
    return std::nullopt;
  return RankLine{std::move(*token), rank};
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

}  // namespace

bool looks_like_ranks(std::string_view text) {
  return read_line(take_line(text)).has_value();
}

RankModel RankModel::parse(std::string_view text, const std::string& where) {
  const int64_t limit = std::count(text.begin(), text.end(), '\n') + kIdGaps;
  RankModel model;
  std::unordered_set<int64_t> ranks;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (line.empty()) continue;
    const auto entry = read_line(line);
    if (!entry) fail(fmt::format("{}:{}", where, number), "expected a token in base64, a space and its rank");
    if (entry->rank >= limit)
      fail(fmt::format("{}:{}", where, number), "the rank is {}, expected 0 to {}", entry->rank, limit - 1);
    if (!model.ids_.emplace(entry->token, static_cast<int32_t>(entry->rank)).second)
      fail(fmt::format("{}:{}", where, number), "the token stands in an earlier line too");
    if (!ranks.insert(entry->rank).second)
      fail(fmt::format("{}:{}", where, number), "the rank {} stands in an earlier line too", entry->rank);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto id = model.token_id(std::string(1, static_cast<char>(byte)));
    if (!id) fail(where, "the byte 0x{:02X} has no rank, expected all 256 bytes", byte);
    model.byte_ids_[byte] = *id;
  }
  return model;
}

void RankModel::encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (const auto id = token_id(word)) {
    ids.push_back(*id);
    return;
  }
  std::vector<TextSymbol> symbols;
  symbols.reserve(word.size());
  for (size_t i = 0; i < word.size(); ++i)
    symbols.push_back({i, 1, byte_ids_[static_cast<unsigned char>(word[i])]});
  merge_symbols(symbols, [&](const TextSymbol& left, const TextSymbol& right) {
    const size_t size = left.size + right.size;
    const auto id = token_id(word.substr(left.begin, size));
    return id ? std::optional(Merged<TextSymbol>{*id, {left.begin, size, *id}}) : std::nullopt;
  });
  for (const TextSymbol& symbol : symbols) ids.push_back(symbol.id);
}

}  // namespace dmoerm::text
