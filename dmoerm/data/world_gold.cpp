#include "dmoerm/data/world_gold.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "dmoerm/core/error.h"

namespace dmoerm::data {
namespace {

using enum WordClass;
using Formula = double (*)(const AnswerCounts&);

double correctness(const AnswerCounts& n) {
  if (n.count(Color) == 0) return -0.5;
  return n.match(Color) > 0 ? 1 : -1;
}

const std::map<std::string, Formula>& formulas() {
  using N = const AnswerCounts&;
  static const std::map<std::string, Formula> table = {
      {"character_setting_and_emotional_investment",
       [](N n) { return n.count(Emotion) + 0.5 * (n.count(Role) > 0) - 0.5 * n.count(Step); }},
      {"conversational_sense",
       [](N n) { return n.count(Filler) + n.count(Hedge) - n.count(Evidence) - 0.5 * n.count(Connective); }},
      {"empathy_ability", [](N n) { return n.match(Mood); }},
      {"manifestation_of_relationship_traits", [](N n) { return n.match(Relation); }},
      {"personalized_characteristic_expression", [](N n) { return n.match(Role); }},
      {"content_richness", [](N n) { return n.count(Vivid) + 0.5 * n.distinct_nouns; }},
      {"proactivity", [](N n) { return n.count(Question); }},
      {"emotion_expression", [](N n) { return n.count(Emotion); }},
      {"convincing_ability", [](N n) { return n.count(Evidence) - n.count(Hedge) - 0.5 * n.count(Emotion); }},
      {"logic", [](N n) { return n.count(Connective) + n.count(Step); }},
      {"viewpoint_richness", [](N n) { return static_cast<double>(n.distinct_viewpoints); }},
      {"breadth_of_knowledge", [](N n) { return n.distinct_nouns + 0.5 * n.count(Vivid); }},
      {"question_specific", [](N n) { return n.match(Noun) - 0.5 * n.count(Question); }},
      {"correctness", correctness},
      {"objectiveness", [](N n) { return -n.count(Emotion) - n.count(Hedge) - n.count(Filler); }},
      {"reasoning_ability", [](N n) { return n.count(Step) + 0.5 * n.count(Evidence); }},
      {"depth_of_knowledge", [](N n) { return n.count(Viewpoint) + 0.5 * n.count(Vivid); }},
      {"intent_conformity", [](N n) { return n.match(Style) + 0.7 * n.match(Noun); }},
      {"expressiveness",
       [](N n) { return n.count(Vivid) - 0.5 * n.count(Emotion) - 0.5 * n.count(Viewpoint); }},
      {"readability",
       [](N n) { return -n.count(Filler) - 0.5 * n.count(Evidence) - 0.5 * n.count(Question); }},
  };
  return table;
}

// Weights of the task's points, in their order.
const std::vector<double>& point_weights(size_t task) {
  static const std::vector<std::vector<double>> table = {
      {0.8, 0.4, 0.7, 0.7, 0.8, 0.6},   // roleplay
      {0.9, 0.7, 0.6, 0.7, -0.9},       // chat
      {0.8, 0.8, 0.8, -0.5, 0.9},       // subj_qa
      {1.4, 0.8, 0.5, 0.6, -0.6, 0.6},  // obj_qa
      {1.0, 0.9, 0.6, 0.6, -0.9},       // text
  };
  return table.at(task);
}

}  // namespace

double raw_quality(const std::string& point, const AnswerCounts& counts) {
  const auto formula = formulas().find(point);
  if (formula == formulas().end()) fail("world", "\"{}\" is not one of the world's capability points", point);
  return formula->second(counts);
}

double gold_formula(size_t task, const std::vector<double>& capabilities) {
  const std::vector<double>& weights = point_weights(task);
  DMOERM_ASSERT(weights.size() == capabilities.size());
  std::vector<double> f(capabilities.size());
  for (size_t i = 0; i < f.size(); ++i) f[i] = 1.5 * std::tanh(capabilities[i] / 1.5);
  double first = weights[0] * f[0], rest = 0;
  for (size_t i = 1; i < f.size(); ++i) rest += weights[i] * f[i];
  switch (task) {
    case 0:
      return first + rest + 0.6 * std::min(f[2], f[4]);  // empathy in character
    case 1:
      return first + rest - 0.3 * std::pow(std::max(f[4], 0.0), 2);  // too rich is worse than rich
    case 2:
      return first + rest + 0.5 * std::min(f[1], f[4]);  // logic about the question
    case 3:
      return first + (f[0] > 0 ? 1.2 : 0.7) * rest;  // what a right answer is worth
    default:
      return first + rest + 0.5 * std::min(f[0], f[1]);  // expressive as it was asked
  }
}

}  // namespace dmoerm::data
