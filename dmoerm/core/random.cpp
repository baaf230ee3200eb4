#include "dmoerm/core/random.h"

#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"

namespace dmoerm {

RandomStream::RandomStream(uint64_t seed, std::string_view purpose, std::initializer_list<uint64_t> counters)
    : state_(hash64(purpose, seed)) {
  for (const uint64_t counter : counters) state_ = hash_combine(state_, counter);
}

uint64_t RandomStream::next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

double RandomStream::uniform() {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(6.283185307179586 * uniform());
}

uint64_t RandomStream::below(uint64_t bound) {
  DMOERM_ASSERT(bound > 0);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;  // reject the incomplete last block
  uint64_t value = next();
  while (value >= limit) value = next();
  return value % bound;
}

size_t RandomStream::weighted(const std::vector<double>& weights) {
  double total = 0;
  for (const double weight : weights) total += weight;
  DMOERM_ASSERT(total > 0);
  double target = uniform() * total;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (target < weights[i]) return i;
    target -= weights[i];
  }
  size_t last = weights.size() - 1;  // rounding: the last item that has a weight
  while (weights[last] <= 0) --last;
  return last;
}

}  // namespace dmoerm
