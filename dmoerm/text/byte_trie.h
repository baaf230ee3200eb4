// Byte strings with a number each; finds those that a text begins with.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dmoerm::text {

class ByteTrie {
 public:
  void add(std::string_view bytes, int32_t value) {  // not empty; value >= 0; the last value counts
    uint32_t node = 0;
    for (const char c : bytes) {
      const auto edge = edges_.try_emplace(key(node, c), static_cast<uint32_t>(values_.size()));
      if (edge.second) values_.push_back(-1);
      node = edge.first->second;
    }
    values_[node] = value;
    begins_[static_cast<unsigned char>(bytes.front())] = true;
  }

  bool empty() const { return edges_.empty(); }

  // Calls visit(size, value) for every entry that `text` begins with, the shortest first.
  template <typename Visit>
  void visit_prefixes(std::string_view text, const Visit& visit) const {
    if (text.empty() || !begins_[static_cast<unsigned char>(text.front())]) return;
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const auto edge = edges_.find(key(node, text[i]));
      if (edge == edges_.end()) return;
      node = edge->second;
      if (values_[node] >= 0) visit(i + 1, values_[node]);
    }
  }

 private:
  static uint64_t key(uint32_t node, char c) { return uint64_t{node} << 8 | static_cast<unsigned char>(c); }

  std::unordered_map<uint64_t, uint32_t> edges_;  // node << 8 | byte -> node
  std::vector<int32_t> values_{-1};               // of each node; -1: no entry ends there
  std::array<bool, 256> begins_{};                // bytes that an entry begins with
};

}  // namespace dmoerm::text
