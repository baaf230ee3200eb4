// Counted random streams: what is drawn is a function of (seed, purpose, counters) alone, so that
// order, resume and the number of workers change nothing.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace dmoerm {

class RandomStream {
 public:
  // `purpose` names the use ("order", "dropout", …); counters are, for example, {epoch, group}.
  RandomStream(uint64_t seed, std::string_view purpose, std::initializer_list<uint64_t> counters = {});

  uint64_t next();                 // 64 uniform bits (splitmix64)
  double uniform();                // in [0, 1)
  double normal();                 // N(0, 1), Box-Muller
  uint64_t below(uint64_t bound);  // uniform in [0, bound); bound > 0
  bool chance(double probability) { return uniform() < probability; }
  size_t weighted(const std::vector<double>& weights);  // index with probability proportional to its weight

  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  uint64_t state_;
};

}  // namespace dmoerm
