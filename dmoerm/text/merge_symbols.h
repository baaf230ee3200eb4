// Byte-pair merging (Sennrich et al. 2016): neighbours become one symbol, again and again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <tuple>
#include <vector>

namespace dmoerm::text {

template <typename Symbol>
struct Merged {
  int32_t rank;
  Symbol symbol;
};

// A symbol that is a part of the word, for models whose neighbours merge when they spell a token together.
struct TextSymbol {
  size_t begin, size;
  int32_t id;
};

// Always merges the pair of lowest rank, the leftmost of equals. `find(left, right)` gives the rank and the
// merged symbol of two neighbours, if they merge. The symbols form a linked list over the array and
// candidates wait in a heap: n symbols cost n log n.
template <typename Symbol, typename Find>
void merge_symbols(std::vector<Symbol>& symbols, const Find& find) {
  const auto size = static_cast<int32_t>(symbols.size());
  constexpr int32_t kGone = -1;
  std::vector<int32_t> next(size), previous(size);
  using Candidate = std::pair<int32_t, int32_t>;  // rank, place of the left symbol
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
  const auto found = [&](int32_t left) -> std::optional<Merged<Symbol>> {
    return next[left] < size ? find(symbols[left], symbols[next[left]]) : std::nullopt;
  };
  const auto consider = [&](int32_t left) {
    if (left < 0) return;
    if (const auto merged = found(left)) heap.emplace(merged->rank, left);
  };
  for (int32_t i = 0; i < size; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  for (int32_t i = 0; i < size; ++i) consider(i);
  while (!heap.empty()) {
    const auto [rank, left] = heap.top();
    heap.pop();
    if (next[left] == kGone) continue;
    const auto merged = found(left);
    if (!merged || merged->rank != rank) continue;  // one of the two has been merged since
    const int32_t right = next[left];
    symbols[left] = merged->symbol;
    next[left] = next[right];
    next[right] = kGone;
    if (next[left] < size) previous[next[left]] = left;
    consider(left);
    consider(previous[left]);
  }
  size_t kept = 0;
  for (int32_t i = 0; i < size; ++i)
    if (next[i] != kGone) symbols[kept++] = symbols[i];
  symbols.erase(symbols.begin() + kept, symbols.end());
}

}  // namespace dmoerm::text
