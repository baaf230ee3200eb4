// A judge that measures text: the reply with the larger measure is better. Needs no language model.
#pragma once

#include "dmoerm/label/judge.h"

namespace dmoerm::label {

class MeasuringJudge : public ComputingJudge {
 public:
  std::string name() const override { return "builtin"; }
  void check_point(const std::string& point) const override;
  Verdict judge(const Question& question) const override;
  bool tied(const Question& question) const override;
};

}  // namespace dmoerm::label
