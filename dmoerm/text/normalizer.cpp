#include "dmoerm/text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

#include "dmoerm/text/json_parts.h"

namespace dmoerm::text {
namespace {

constexpr int kNfc = UTF8PROC_STABLE | UTF8PROC_COMPOSE;

// No character below U+0300 (UTF-8 lead byte 0xcc) combines, so such a text is in composed form already.
bool is_trivially_composed(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0xcc; });
}

std::string unicode_form(const std::string& text, int options) {
  if (options == kNfc && is_trivially_composed(text)) return text;
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &result,
                                             static_cast<utf8proc_option_t>(options));
  if (size < 0) fail("tokenizer", "Unicode normalisation failed: {}", utf8proc_errmsg(size));
  std::string normalized(reinterpret_cast<char*>(result), static_cast<size_t>(size));
  std::free(result);
  return normalized;
}

}  // namespace

std::string normalize_nfc(const std::string& text) {
  return unicode_form(text, kNfc);
}

void Normalizer::add(const Json& json, const std::string& where) {
  const auto type = json_field<std::string>(json, "type", where);
  if (type == "NFC") {
    steps_.push_back({Kind::Unicode, kNfc, "", ""});
  } else if (type == "NFD") {
    steps_.push_back({Kind::Unicode, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, "", ""});
  } else if (type == "NFKC") {
    steps_.push_back({Kind::Unicode, kNfc | UTF8PROC_COMPAT, "", ""});
  } else if (type == "NFKD") {
    steps_.push_back({Kind::Unicode, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, "", ""});
  } else if (type == "Prepend") {
    steps_.push_back({Kind::Prepend, 0, "", json_field<std::string>(json, "prepend", where)});
  } else if (type == "Replace") {
    steps_.push_back(
        {Kind::Replace, 0, replaced_string(json, where), json_field<std::string>(json, "content", where)});
  } else {
    fail(where, "\"{}\" is not supported, expected NFC, NFD, NFKC, NFKD, Prepend, Replace or Sequence", type);
  }
}

Normalizer Normalizer::from_json(const Json& json, const std::string& where) {
  Normalizer normalizer;
  for (const Json* step : flat_steps(json, "normalizers", where)) normalizer.add(*step, where);
  return normalizer;
}

std::string Normalizer::normalize(std::string text) const {
  for (const Step& step : steps_) {
    if (text.empty()) break;
    switch (step.kind) {
      case Kind::Unicode:
        text = unicode_form(text, step.unicode_form);
        break;
      case Kind::Prepend:
        text.insert(0, step.content);
        break;
      case Kind::Replace:
        text = replace_all(text, step.pattern, step.content);
        break;
    }
  }
  return text;
}

}  // namespace dmoerm::text
