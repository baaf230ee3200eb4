// The byte-pair-encoding model of a tokenizer.json (Sennrich et al. 2016): a word -> token ids.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dmoerm/core/json.h"
#include "dmoerm/text/merge_symbols.h"
#include "dmoerm/text/word_model.h"

namespace dmoerm::text {

class BpeModel : public WordModel {
 public:
  // The "model" of a tokenizer.json. Error, naming `where`, for another type than BPE, for options that are
  // not supported, and for merges of tokens that the vocabulary lacks.
  static BpeModel from_json(const Json& json, const std::string& where);

  void encode(std::string_view word, std::vector<int32_t>& ids) const override;

 private:
  void read_vocabulary(const Json& vocabulary, const std::string& where);
  void read_merges(const Json& merges, const std::string& where);
  std::vector<int32_t> characters(std::string_view word) const;

  std::unordered_map<uint64_t, Merged<int32_t>> merges_;  // left id << 32 | right id
  std::vector<int32_t> byte_ids_;                         // of "<0x00>" …; empty: no byte fallback
  std::optional<int32_t> unknown_;
  bool fuse_unknown_ = false, ignore_merges_ = false;
};

}  // namespace dmoerm::text
