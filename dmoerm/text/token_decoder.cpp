#include "dmoerm/text/token_decoder.h"

#include <charconv>
#include <optional>

#include "dmoerm/text/byte_alphabet.h"
#include "dmoerm/text/json_parts.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::text {
namespace {

std::string joined(const std::vector<std::string>& tokens, const char* separator = "") {
  return fmt::format("{}", fmt::join(tokens, separator));
}

// "<0x41>" -> 'A'
std::optional<char> fallback_byte(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  int byte = 0;
  const auto result = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (result.ptr != token.data() + 5 || byte < 0) return std::nullopt;
  return static_cast<char>(byte);
}

// Runs of byte tokens become the characters they spell; a run that spells none, one U+FFFD for each byte.
std::vector<std::string> join_fallback_bytes(const std::vector<std::string>& tokens) {
  std::vector<std::string> result;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (is_valid_utf8(bytes)) {
      result.push_back(bytes);
    } else {
      result.insert(result.end(), bytes.size(), "\xef\xbf\xbd");
    }
    bytes.clear();
  };
  for (const std::string& token : tokens) {
    if (const auto byte = fallback_byte(token)) {
      bytes += *byte;
    } else {
      flush();
      result.push_back(token);
    }
  }
  flush();
  return result;
}

std::string join_byte_level(const std::vector<std::string>& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += from_byte_alphabet(token).value_or(token);
  return repair_utf8(bytes);
}

void strip(std::string& token, const std::string& content, int64_t start, int64_t stop) {
  const std::string_view view = token;
  size_t begin = 0, end = token.size();
  for (; start > 0 && view.substr(begin).starts_with(content); --start) begin += content.size();
  for (; stop > 0 && view.substr(begin, end - begin).ends_with(content); --stop) end -= content.size();
  token = token.substr(begin, end - begin);
}

}  // namespace

void TokenDecoder::add(const Json& json, const std::string& where) {
  const auto type = json_field<std::string>(json, "type", where);
  if (type == "ByteLevel") {
    steps_.push_back({Kind::ByteLevel, "", ""});
  } else if (type == "ByteFallback") {
    steps_.push_back({Kind::ByteFallback, "", ""});
  } else if (type == "Fuse") {
    steps_.push_back({Kind::Fuse, "", ""});
  } else if (type == "Replace") {
    steps_.push_back(
        {Kind::Replace, replaced_string(json, where), json_field<std::string>(json, "content", where)});
  } else if (type == "Strip") {
    const auto content = json_field<std::string>(json, "content", where);
    if (content.empty()) fail(where, "Strip has an empty \"content\"");
    steps_.push_back({Kind::Strip, "", content, json_field_or<int64_t>(json, "start", 0, where),
                      json_field_or<int64_t>(json, "stop", 0, where)});
  } else if (type == "Metaspace") {
    const auto replacement = json_field_or<std::string>(json, "replacement", "▁", where);
    if (replacement.empty()) fail(where, "Metaspace has an empty \"replacement\"");
    const bool add_prefix_space = json_field_or(json, "add_prefix_space", true, where);
    const auto scheme =
        json_field_or<std::string>(json, "prepend_scheme", add_prefix_space ? "always" : "never", where);
    steps_.push_back({Kind::Metaspace, replacement, "", scheme == "never" ? 0 : 1});
  } else {
    fail(where,
         "\"{}\" is not supported, expected ByteLevel, ByteFallback, Replace, Fuse, Strip, Metaspace or "
         "Sequence",
         type);
  }
}

TokenDecoder TokenDecoder::from_json(const Json& json, const std::string& where) {
  TokenDecoder decoder;
  for (const Json* step : flat_steps(json, "decoders", where)) decoder.add(*step, where);
  return decoder;
}

void TokenDecoder::apply(const Step& step, std::vector<std::string>& tokens) {
  switch (step.kind) {
    case Kind::ByteLevel:
      tokens = {join_byte_level(tokens)};
      break;
    case Kind::ByteFallback:
      tokens = join_fallback_bytes(tokens);
      break;
    case Kind::Fuse:
      tokens = {joined(tokens)};
      break;
    case Kind::Replace:
      for (std::string& token : tokens) token = replace_all(token, step.pattern, step.content);
      break;
    case Kind::Strip:
      for (std::string& token : tokens) strip(token, step.content, step.start, step.stop);
      break;
    case Kind::Metaspace:
      if (!tokens.empty()) strip(tokens[0], step.pattern, step.start, 0);
      for (std::string& token : tokens) token = replace_all(token, step.pattern, " ");
      break;
  }
}

std::string TokenDecoder::decode(std::vector<std::string> tokens) const {
  if (steps_.empty()) return repair_utf8(joined(tokens, " "));
  for (const Step& step : steps_) apply(step, tokens);
  return repair_utf8(joined(tokens));
}

}  // namespace dmoerm::text
