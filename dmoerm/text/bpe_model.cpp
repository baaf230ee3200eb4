#include "dmoerm/text/bpe_model.h"

#include <algorithm>

#include "dmoerm/text/json_parts.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::text {
namespace {

uint64_t pair_key(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// A merge is ["a", "b"] or, in older files, "a b".
std::pair<std::string, std::string> read_merge(const Json& merge, size_t rank, const std::string& where) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
      return {text.substr(0, space), text.substr(space + 1)};
  }
  fail(where, "merges[{}] is not a pair of tokens", rank);
}

void refuse_affix(const Json& json, const std::string& key, const std::string& where) {
  if (!json_field_or<std::string>(json, key, "", where).empty()) fail(where, "\"{}\" is not supported", key);
}

}  // namespace

BpeModel BpeModel::from_json(const Json& json, const std::string& where) {
  // Files of older versions leave the type out where there are merges.
  const auto type = json_member(json, "merges", where).is_null()
                        ? json_field<std::string>(json, "type", where)
                        : json_field_or<std::string>(json, "type", "BPE", where);
  if (type != "BPE") fail(where, "\"{}\" is not supported, expected BPE", type);
  refuse_affix(json, "continuing_subword_prefix", where);
  refuse_affix(json, "end_of_word_suffix", where);
  if (json_field_or(json, "dropout", 0.0, where) != 0) fail(where, "\"dropout\" is not supported");
  BpeModel model;
  model.read_vocabulary(json_member(json, "vocab", where), where);
  model.read_merges(json_list(json, "merges", where), where);
  model.fuse_unknown_ = json_field_or(json, "fuse_unk", false, where);
  model.ignore_merges_ = json_field_or(json, "ignore_merges", false, where);
  if (const auto unknown = json_field_or<std::string>(json, "unk_token", "", where); !unknown.empty()) {
    model.unknown_ = model.token_id(unknown);
    if (!model.unknown_) fail(where, "\"unk_token\" is \"{}\", which the vocabulary lacks", unknown);
  }
  if (json_field_or(json, "byte_fallback", false, where)) {
    for (int byte = 0; byte < 256; ++byte)
      model.byte_ids_.push_back(model.token_id(fmt::format("<0x{:02X}>", byte)).value_or(-1));
  }
  return model;
}

void BpeModel::read_vocabulary(const Json& vocabulary, const std::string& where) {
  if (!vocabulary.is_object()) fail(where, "\"vocab\" is {}, expected an object", json_kind(vocabulary));
  const auto limit = static_cast<int64_t>(vocabulary.size()) + kIdGaps;
  ids_.reserve(vocabulary.size());
  for (const auto& [token, id] : vocabulary.items()) {
    if (!id.is_number_integer())
      fail(where, "vocab[\"{}\"] is {}, expected a whole number", token, json_kind(id));
    if (id.get<int64_t>() < 0 || id.get<int64_t>() >= limit)
      fail(where, "vocab[\"{}\"] is {}, expected 0 to {}", token, id.get<int64_t>(), limit - 1);
    ids_.emplace(token, id.get<int32_t>());
  }
}

void BpeModel::read_merges(const Json& merges, const std::string& where) {
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto [left, right] = read_merge(merges[rank], rank, where);
    const auto id_of = [&](const std::string& token) {
      const auto id = token_id(token);
      if (!id) fail(where, "merges[{}] needs the token \"{}\", which the vocabulary lacks", rank, token);
      return *id;
    };
    const int32_t left_id = id_of(left), right_id = id_of(right);
    merges_.insert_or_assign(pair_key(left_id, right_id),
                             Merged<int32_t>{static_cast<int32_t>(rank), id_of(left + right)});
  }
}

// One id for each character; where the vocabulary lacks it, its bytes' ids or the unknown token.
std::vector<int32_t> BpeModel::characters(std::string_view word) const {
  std::vector<int32_t> ids;
  ids.reserve(word.size());
  bool after_unknown = false;
  for (size_t at = 0, begin = 0; at < word.size(); begin = at) {
    next_character(word, at);
    const std::string_view character = word.substr(begin, at - begin);
    if (const auto id = token_id(character)) {
      ids.push_back(*id);
      after_unknown = false;
      continue;
    }
    const auto byte_id = [&](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
    if (!byte_ids_.empty() &&
        std::all_of(character.begin(), character.end(), [&](char c) { return byte_id(c) >= 0; })) {
      for (const char c : character) ids.push_back(byte_id(c));
      after_unknown = false;
    } else if (unknown_) {
      if (!(fuse_unknown_ && after_unknown)) ids.push_back(*unknown_);
      after_unknown = true;
    }
  }
  return ids;
}

void BpeModel::encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto id = token_id(word)) {
      ids.push_back(*id);
      return;
    }
  }
  std::vector<int32_t> symbols = characters(word);
  merge_symbols(symbols, [&](int32_t left, int32_t right) -> std::optional<Merged<int32_t>> {
    const auto merge = merges_.find(pair_key(left, right));
    return merge == merges_.end() ? std::nullopt : std::optional(merge->second);
  });
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

}  // namespace dmoerm::text
