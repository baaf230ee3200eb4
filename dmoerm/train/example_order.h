// The order in which a lane visits its examples: a function of the seed alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dmoerm::train {

// Examples [begin, end) that are drawn with a probability proportional to `weight`.
struct Source {
  int64_t begin = 0, end = 0;
  double weight = 1;
};

// One source: every epoch is a fresh permutation. Several: each position draws a source by weight, which goes
// through permutations of its own.
class ExampleOrder {
 public:
  // `name` is the lane's: a lane has the same order whether it runs alone or among others.
  ExampleOrder(std::vector<Source> sources, uint64_t seed, std::string name);
  int64_t next();
  void skip(int64_t count);  // as if next() had been called `count` times

 private:
  struct Cursor {
    int64_t position = 0;
    std::vector<int64_t> permutation;
  };
  std::vector<Source> sources_;
  std::vector<double> weights_;
  std::vector<Cursor> cursors_;
  uint64_t seed_;
  std::string name_;
  int64_t drawn_ = 0;
};

}  // namespace dmoerm::train
