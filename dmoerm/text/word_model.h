// What every tokenizer's model does: it turns a word into token ids.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dmoerm::text {

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

using Vocabulary = std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>;

constexpr int64_t kIdGaps =
    1 << 16;  // ids without a token that a file may have: no damaged id makes a huge table

class WordModel {
 public:
  virtual ~WordModel() = default;
  virtual void encode(std::string_view word, std::vector<int32_t>& ids) const = 0;  // appends the word's ids

  const Vocabulary& vocabulary() const { return ids_; }
  std::optional<int32_t> token_id(std::string_view token) const {
    const auto id = ids_.find(token);
    return id == ids_.end() ? std::nullopt : std::optional(id->second);
  }

 protected:
  Vocabulary ids_;
};

}  // namespace dmoerm::text
