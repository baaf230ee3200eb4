#include "dmoerm/text/word_cache.h"

namespace dmoerm::text {

bool WordCache::append(std::string_view word, std::vector<int32_t>& ids) {
  if (word.size() > kLongestWord) return false;
  Shard& part = shard(word);
  const std::lock_guard lock(part.mutex);
  const auto found = part.words.find(word);
  if (found == part.words.end()) return false;
  ids.insert(ids.end(), found->second.begin(), found->second.end());
  return true;
}

void WordCache::insert(std::string_view word, std::span<const int32_t> ids) {
  if (word.size() > kLongestWord) return;
  Shard& part = shard(word);
  const std::lock_guard lock(part.mutex);
  if (part.words.size() >= kShardWords) part.words.clear();  // full: begin anew, frequent words soon return
  part.words.emplace(std::string(word), std::vector<int32_t>(ids.begin(), ids.end()));
}

}  // namespace dmoerm::text
