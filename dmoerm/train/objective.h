// What the trainer trains. An objective has one or more lanes: independent sets of parameters that train side
// by side in one pass (the experts of a task), each exactly as if it trained alone.
#pragma once

#include <string>
#include <vector>

#include "dmoerm/core/compat.h"
#include "dmoerm/core/json.h"
#include "dmoerm/train/example_order.h"

namespace dmoerm::train {

using NamedParameters = std::vector<std::pair<std::string, Tensor>>;  // float32 leaves, in a fixed order

// One optimizer step: the examples of each lane (none: the lane rests).
struct StepRequest {
  int64_t step = 0;
  std::vector<std::vector<int64_t>> examples;
};

struct StepResult {
  std::vector<Json> lanes;  // measures for the metrics file: {"loss": …, "accuracy": …}; "loss" always
  int64_t tokens = 0;       // computed
  double flops = 0;
};

struct Evaluation {
  double score = 0;  // higher is better: what early stopping and the best checkpoint go by
  Json measures;
};

class Objective {
 public:
  virtual ~Objective() = default;
  virtual int64_t num_lanes() const = 0;
  virtual std::string lane_name(int64_t lane) const = 0;
  virtual NamedParameters parameters(int64_t lane) = 0;
  virtual std::vector<Source> sources(int64_t lane) const = 0;
  // Adds the gradient of each lane's mean loss over its examples to .grad; independent of how the step is
  // cut.
  virtual StepResult accumulate(const StepRequest& request) = 0;
  // On held-out data, for the lanes named; nothing to evaluate on: score 0 and no measures.
  virtual std::vector<Evaluation> evaluate(const std::vector<int64_t>& lanes) = 0;
};

}  // namespace dmoerm::train
