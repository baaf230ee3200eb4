// The judge of the synthetic world: it knows the true qualities, errs, draws ties and prefers the reply it
// sees first.
#pragma once

#include "dmoerm/data/world.h"
#include "dmoerm/label/judge.h"

namespace dmoerm::label {

struct WorldJudgeOptions {
  uint64_t seed = 1;
  double error = 0.2;          // share of answers that name the worse reply
  double position_bias = 0.1;  // share of answers that name the first reply whatever it says
};

// What it answers is a function of the seed, the record's id and answers, the point, the order and the vote.
class WorldJudge : public ComputingJudge {
 public:
  explicit WorldJudge(WorldJudgeOptions options = {}) : options_(options) {}
  std::string name() const override { return "world"; }
  void check_point(const std::string& point) const override;
  Verdict judge(const Question& question) const override;
  bool tied(const Question& question) const override;  // truly equal

 private:
  WorldJudgeOptions options_;
};

}  // namespace dmoerm::label
