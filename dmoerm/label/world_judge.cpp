#include "dmoerm/label/world_judge.h"

#include <cmath>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/random.h"

namespace dmoerm::label {
namespace {

// True quality of the first reply less that of the second.
double true_advantage(const Question& question) {
  const data::PreferenceRecord& record = question.record;
  const std::string prompt = data::user_turns_text(record), point(question.point);
  const double difference =
      data::World::quality(point, prompt, data::response_text(record.responses[question.first])) -
      data::World::quality(point, prompt, data::response_text(record.responses[question.second]));
  return std::abs(difference) < 1e-9 ? 0 : difference;
}

}  // namespace

void WorldJudge::check_point(const std::string& point) const {
  data::World::quality(point, "", "");
}

bool WorldJudge::tied(const Question& question) const {
  return true_advantage(question) == 0;
}

Verdict WorldJudge::judge(const Question& question) const {
  RandomStream random(
      options_.seed, question.record.id,
      {hash64(question.point), question.first, question.second, static_cast<uint64_t>(question.vote)});
  if (random.chance(options_.position_bias)) return {Choice::First};
  const double difference = true_advantage(question);
  const bool first_better = difference == 0 ? random.chance(0.5) : difference > 0;
  const bool errs = random.chance(options_.error);
  return {first_better != errs ? Choice::First : Choice::Second};
}

}  // namespace dmoerm::label
