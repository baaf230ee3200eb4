// One workload done in two ways, the usual and ours, and what each costs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dmoerm/core/compat.h"

namespace dmoerm::bench {

struct Way {
  std::function<std::vector<Tensor>()> run;  // the results, equal for all ways of a contest
  double flops = 0;                          // of the matrix products that a run computes
};

struct Contest {
  std::string workload, against;  // against: the usual way's name
  int64_t tokens = 0;  // that nobody shares: each prompt once for each answer, no padding, for each expert
  double tolerance = 1e-4;  // by which results may differ: norm of the difference over the norm
  std::vector<Way> usual;   // the fastest of them counts; on a GPU they are only compared with
  Way ours;
  torch::Device device = torch::kCPU;
  bool time_usual = false;                   // on a GPU too
  std::function<void()> before_timing = {};  // called once the results were compared
};

struct Cost {
  double seconds = 0;  // median
  double flops = 0;
  double extra_mebibytes = 0;  // most memory in use above what was in use before; 0 where it cannot be read
};

struct Outcome {
  Cost usual, ours;
  double difference = 0;  // the largest that was found
};

// Warms up, measuring memory and comparing the results (Error where they differ by more than the tolerance),
// then runs all ways in turn `repeats` times.
Outcome run_contest(const Contest& contest, int64_t repeats);

// A row of a Markdown table, on a GPU without the usual way and its end. matmul_rate in FLOP/s.
std::string table_head(torch::Device device);
std::string table_row(const Contest& contest, const Outcome& outcome, double matmul_rate);

}  // namespace dmoerm::bench
