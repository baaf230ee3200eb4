// Remembers the ids of words that were encoded before; safe from many threads.
#pragma once

#include <array>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dmoerm/text/word_model.h"

namespace dmoerm::text {

class WordCache {
 public:
  bool append(std::string_view word, std::vector<int32_t>& ids);  // false when the word is not there
  void insert(std::string_view word, std::span<const int32_t> ids);

 private:
  static constexpr size_t kShards = 64, kShardWords = 4096, kLongestWord = 64;
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<int32_t>, StringHash, std::equal_to<>> words;
  };
  Shard& shard(std::string_view word) { return shards_[StringHash()(word) >> 32 & (kShards - 1)]; }

  std::array<Shard, kShards> shards_;
};

}  // namespace dmoerm::text
