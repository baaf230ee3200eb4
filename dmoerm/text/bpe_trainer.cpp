#include "dmoerm/text/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <queue>
#include <unordered_set>

#include "dmoerm/core/log.h"
#include "dmoerm/text/byte_alphabet.h"

namespace dmoerm::text {
namespace {

using Pair = std::pair<int32_t, int32_t>;

uint64_t key_of(Pair pair) {
  return uint64_t{static_cast<uint32_t>(pair.first)} << 32 | static_cast<uint32_t>(pair.second);
}

struct Word {
  std::vector<int32_t> symbols;
  int64_t count = 0;
};

struct PairState {
  int64_t count = 0;
  std::vector<int32_t> words;  // that hold the pair, or once held it; a word may stand here twice
};

// Most frequent first, then the smaller ids.
struct Candidate {
  int64_t count;
  Pair pair;
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Trainer {
 public:
  Trainer(const WordCounts& counts, int64_t min_frequency) : min_frequency_(min_frequency) {
    number_bytes();
    std::vector<const WordCounts::value_type*> sorted;  // so that nothing depends on the map's order
    sorted.reserve(counts.size());
    for (const auto& item : counts) sorted.push_back(&item);
    std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->first < b->first; });
    words_.reserve(sorted.size());
    for (const auto* item : sorted) add_word(item->first, item->second);
    for (const auto& [key, state] : pairs_) push(key, state.count);
  }

  std::vector<std::pair<std::string, std::string>> run(int64_t num_tokens) {
    std::vector<std::pair<std::string, std::string>> merges;
    Progress progress("tokenizer", num_tokens, "tokens");
    const size_t goal = tokens_.size() + num_tokens;
    while (tokens_.size() < goal && !heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      const auto state = pairs_.find(key_of(best.pair));
      if (state == pairs_.end()) continue;
      if (state->second.count != best.count) {  // an outdated entry: it comes back with its present count
        push(state->first, state->second.count);
        continue;
      }
      const size_t before = tokens_.size();
      const int32_t merged = token_of(tokens_[best.pair.first] + tokens_[best.pair.second]);
      // A pair can come again when one of its tokens can be reached by two ways; its merge stands in the list
      // already.
      if (learned_.insert(state->first).second)
        merges.emplace_back(tokens_[best.pair.first], tokens_[best.pair.second]);
      merge(best.pair, merged);
      progress.advance(static_cast<int64_t>(tokens_.size() - before));
    }
    return merges;
  }

 private:
  // Bytes are numbered in the order of their characters in the byte alphabet, as in the written vocabulary.
  void number_bytes() {
    std::vector<int> bytes(256);
    for (int byte = 0; byte < 256; ++byte) bytes[byte] = byte;
    std::sort(bytes.begin(), bytes.end(),
              [](int a, int b) { return byte_alphabet()[a] < byte_alphabet()[b]; });
    for (int i = 0; i < 256; ++i) {
      byte_ids_[bytes[i]] = i;
      token_of(std::string(1, static_cast<char>(bytes[i])));
    }
  }

  // The token of these bytes, a new one where there is none.
  int32_t token_of(const std::string& bytes) {
    const auto token = ids_.try_emplace(bytes, static_cast<int32_t>(tokens_.size()));
    if (token.second) tokens_.push_back(bytes);
    return token.first->second;
  }

  void add_word(const std::string& text, int64_t count) {
    Word word;
    word.count = count;
    for (const char c : text) word.symbols.push_back(byte_ids_[static_cast<unsigned char>(c)]);
    const auto index = static_cast<int32_t>(words_.size());
    for (size_t i = 0; i + 1 < word.symbols.size(); ++i)
      change({word.symbols[i], word.symbols[i + 1]}, count, index);
    words_.push_back(std::move(word));
  }

  void change(Pair pair, int64_t by, int32_t word) {
    PairState& state = pairs_[key_of(pair)];
    state.count += by;
    if (by > 0 && (state.words.empty() || state.words.back() != word)) state.words.push_back(word);
  }

  void push(uint64_t key, int64_t count) {
    if (count >= min_frequency_)
      heap_.push({count, {static_cast<int32_t>(key >> 32), static_cast<int32_t>(key)}});
  }

  void merge(Pair pair, int32_t merged) {
    std::vector<int32_t> holders = std::move(pairs_.at(key_of(pair)).words);
    std::sort(holders.begin(), holders.end());
    holders.erase(std::unique(holders.begin(), holders.end()), holders.end());
    std::vector<uint64_t> grown;  // pairs with the new token
    for (const int32_t index : holders) merge_in_word(index, pair, merged, grown);
    pairs_.erase(key_of(pair));
    std::sort(grown.begin(), grown.end());
    grown.erase(std::unique(grown.begin(), grown.end()), grown.end());
    for (const uint64_t key : grown) push(key, pairs_[key].count);
  }

  void merge_in_word(int32_t index, Pair pair, int32_t merged, std::vector<uint64_t>& grown) {
    Word& word = words_[index];
    std::vector<int32_t>& symbols = word.symbols;
    size_t kept = 0;
    for (size_t i = 0; i < symbols.size(); ++i) {
      if (i + 1 == symbols.size() || Pair(symbols[i], symbols[i + 1]) != pair) {
        symbols[kept++] = symbols[i];
        continue;
      }
      if (kept > 0) {
        change({symbols[kept - 1], symbols[i]}, -word.count, index);
        change({symbols[kept - 1], merged}, word.count, index);
        grown.push_back(key_of({symbols[kept - 1], merged}));
      }
      if (i + 2 < symbols.size()) {
        change({symbols[i + 1], symbols[i + 2]}, -word.count, index);
        change({merged, symbols[i + 2]}, word.count, index);
        grown.push_back(key_of({merged, symbols[i + 2]}));
      }
      symbols[kept++] = merged;
      ++i;
    }
    symbols.resize(kept);
  }

  int64_t min_frequency_;
  std::array<int32_t, 256> byte_ids_{};
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_set<uint64_t> learned_;
  std::vector<Word> words_;
  std::unordered_map<uint64_t, PairState> pairs_;
  std::priority_queue<Candidate> heap_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> train_bpe(const WordCounts& words, int64_t num_tokens,
                                                           int64_t min_frequency) {
  return Trainer(words, min_frequency).run(num_tokens);
}

}  // namespace dmoerm::text
