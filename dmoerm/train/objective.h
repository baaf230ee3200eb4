// What the trainer trains. An objective has one or more lanes: independent sets of parameters that train side
// by side in one pass (the experts of a task), each exactly as if it trained alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dmoerm/core/compat.h"
#include "dmoerm/core/json.h"
#include "dmoerm/train/example_order.h"

namespace dmoerm::train {

// Leaves, in a fixed order: float32, or narrower (the trainer then keeps float32 masters).
using NamedParameters = std::vector<std::pair<std::string, Tensor>>;

// Trained through a float32 master, and its gradient summed in float32.
inline bool is_narrow(const Tensor& parameter) {
  return parameter.element_size() < 4;
}

// One optimizer step: the examples of each lane (none: the lane rests).
struct StepRequest {
  int64_t step = 0;
  std::vector<std::vector<int64_t>> examples;

  bool operator==(const StepRequest&) const = default;
};

struct StepResult {
  // Measures of each lane for the metrics file: {"loss": …, "accuracy": …}, "loss" always; null: the lane
  // rested. Waits for the device, so it is asked once the step's work is queued.
  std::function<std::vector<Json>()> measures;
  int64_t tokens = 0;  // computed
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
  // Leaves the gradient of each lane's mean loss over its examples in .grad, undefined before; independent of
  // how the step is cut.
  virtual StepResult accumulate(const StepRequest& request) = 0;
  // Says what the next step will be: its examples may be read and packed while the device computes.
  virtual void prepare(const StepRequest& /*next*/) {}
  // After the device ran out of memory: computes less at once from now on, to the same result. False: it
  // cannot.
  virtual bool shrink() { return false; }
  // On held-out data, for the lanes named; nothing to evaluate on: score 0 and no measures.
  virtual std::vector<Evaluation> evaluate(const std::vector<int64_t>& lanes) = 0;
};

// For shrink() of objectives that cut a step by tokens.
bool halve_token_budget(int64_t& token_budget);

}  // namespace dmoerm::train
