// The training loop: steps, clipping, AdamW, schedule, evaluation, early stopping, checkpoints, for every
// lane.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/ops/adamw.h"
#include "dmoerm/train/objective.h"
#include "dmoerm/train/run_directory.h"
#include "dmoerm/train/schedule.h"

namespace dmoerm::train {

struct TrainOptions {
  double epochs = 1;
  int64_t max_steps = 0;  // > 0: at most so many
  int64_t batch = 16;     // examples (prompt groups) an optimizer step
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
  double clip = 1;  // of the gradient's norm; 0: none
  Schedule schedule = {};
  int64_t eval_every = 0;  // steps; 0: once an epoch
  int64_t patience = 0;    // evaluations without a new best before the lane stops; 0: never stops early
  bool keep_best = true;   // end with the best evaluated weights rather than the last
  double checkpoint_seconds = 60;  // 0: after every step
};

// Asks every running training to save its state and to end with an Error that says how to go on.
void request_stop();
bool stop_requested();

class Trainer {
 public:
  // `stage` names the state and the metrics lines. `flops_rate` (FLOP/s) is what MFU is measured against.
  Trainer(Objective& objective, TrainOptions options, uint64_t seed, std::string stage, RunDirectory& run,
          double flops_rate);
  // Trains every lane to its end, or goes on from the saved state; leaves the chosen weights in the
  // parameters.
  void run();

 private:
  struct Lane {
    std::string name;
    NamedParameters parameters;
    // `masters`: float32 copies of narrower parameters, undefined for the others.
    std::vector<Tensor> masters, first_moments, second_moments, best;

    // What is trained of a parameter.
    const Tensor& value(size_t i) const { return masters[i].defined() ? masters[i] : parameters[i].second; }
    std::unique_ptr<ExampleOrder> order;
    int64_t total_steps = 0, eval_every = 0, batch = 0;
    int64_t steps = 0, best_step = 0, evaluations_since_best = 0;
    double best_score = 0, score = 0;
    bool evaluated = false, finished = false;

    bool evaluation_due() const { return steps % eval_every == 0 || steps == total_steps; }
  };

  void restore(const StageState& state);
  void save(bool finished);
  bool active() const;
  StepRequest draw_step();
  StepResult take_step();
  // What `work` returns, which starts without gradients; where memory ends, once more with less at once.
  template <typename Work>
  auto until_it_fits(const Work& work);
  // Clips and applies the gradient; the norm that it had, on the device, and the learning rate.
  std::pair<Tensor, double> update(Lane& lane);
  void evaluate_due();
  void record(Lane& lane, const Evaluation& evaluation);
  void use_best_weights();

  Objective& objective_;
  TrainOptions options_;
  uint64_t seed_;
  std::string stage_;
  RunDirectory& run_;
  double flops_rate_;
  std::vector<Lane> lanes_;
  int64_t step_ = 0;
  std::optional<StepRequest> next_;  // drawn ahead
};

}  // namespace dmoerm::train
