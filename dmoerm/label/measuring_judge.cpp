#include "dmoerm/label/measuring_judge.h"

#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/label/measures.h"

namespace dmoerm::label {
namespace {

double measured_advantage(const Question& question) {
  const Measure* measure = find_measure(question.point);
  DMOERM_ASSERT(measure != nullptr);  // check_point() refuses others
  const TextStatistics asked(data::user_turns_text(question.record));
  const auto value = [&](size_t answer) {
    return measure->value(asked, TextStatistics(data::response_text(question.record.responses[answer])));
  };
  const double difference = value(question.first) - value(question.second);
  return std::abs(difference) < 1e-9 ? 0 : difference;
}

}  // namespace

void MeasuringJudge::check_point(const std::string& point) const {
  if (find_measure(point) != nullptr) return;
  std::vector<std::string> names;
  for (const Measure& measure : measures()) names.push_back(measure.name);
  fail("label",
       "the builtin judge has no measure \"{}\", it has {}: give --tasks with such points, or --points, or a "
       "--model to ask",
       point, fmt::join(names, ", "));
}

bool MeasuringJudge::tied(const Question& question) const {
  return measured_advantage(question) == 0;
}

Verdict MeasuringJudge::judge(const Question& question) const {
  const double difference = measured_advantage(question);
  if (difference == 0) return {Choice::Tie};
  return {difference > 0 ? Choice::First : Choice::Second};
}

}  // namespace dmoerm::label
