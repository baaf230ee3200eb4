// The byte-pair-encoding model of a tokenizer.json (Sennrich et al. 2016): a word -> token ids.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dmoerm/core/json.h"

namespace dmoerm::text {

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

class BpeModel {
 public:
  // The "model" of a tokenizer.json. Error, naming `where`, for another type than BPE, for options that are
  // not supported, and for merges of tokens that the vocabulary lacks.
  static BpeModel from_json(const Json& json, const std::string& where);

  // Appends the word's ids. Merges wait in a heap: n characters cost n log n.
  void encode(std::string_view word, std::vector<int32_t>& ids) const;

  std::optional<int32_t> token_id(std::string_view token) const;
  const std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>& vocabulary() const {
    return ids_;
  }

 private:
  struct Merge {
    int32_t rank, id;
  };
  void read_vocabulary(const Json& vocabulary, const std::string& where);
  void read_merges(const Json& merges, const std::string& where);
  std::vector<int32_t> characters(std::string_view word) const;
  void merge(std::vector<int32_t>& ids) const;
  const Merge* find_merge(int32_t left, int32_t right) const;

  std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>> ids_;
  std::unordered_map<uint64_t, Merge> merges_;  // left id << 32 | right id
  std::vector<int32_t> byte_ids_;               // of "<0x00>" …; empty: no byte fallback
  std::optional<int32_t> unknown_;
  bool fuse_unknown_ = false, ignore_merges_ = false;
};

}  // namespace dmoerm::text
