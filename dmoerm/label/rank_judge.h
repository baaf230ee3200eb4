// The human ranks as a judge: what experts learn when there are no capability labels.
#pragma once

#include "dmoerm/label/judge.h"

namespace dmoerm::label {

class RankJudge : public ComputingJudge {
 public:
  std::string name() const override { return "ranks"; }
  void check_point(const std::string&) const override {}
  Verdict judge(const Question& question) const override {
    const auto& ranks = question.record.ranks;
    const int64_t first = ranks[question.first], second = ranks[question.second];
    return {first < second ? Choice::First : second < first ? Choice::Second : Choice::Tie};
  }
  bool tied(const Question& question) const override {
    return question.record.ranks[question.first] == question.record.ranks[question.second];
  }
};

}  // namespace dmoerm::label
