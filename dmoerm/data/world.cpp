#include "dmoerm/data/world.h"

#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"
#include "dmoerm/data/world_gold.h"
#include "dmoerm/data/world_text.h"

namespace dmoerm::data {
namespace {

constexpr uint64_t kCalibrationSeed = 20240301;  // gold must not depend on the world's seed
constexpr size_t kCalibrationAnswers = 1500;

double draw_match_rate(RandomStream& random) {
  static constexpr double rates[] = {0.15, 0.5, 0.9};
  return rates[random.below(3)];
}

}  // namespace

template <typename Items, typename Value>
World::Scale World::Scale::of(const Items& items, const Value& value) {
  double sum = 0, squares = 0;
  for (const auto& item : items) sum += value(item);
  const double mean = sum / items.size();
  for (const auto& item : items) squares += std::pow(value(item) - mean, 2);
  return {mean, std::sqrt(squares / items.size())};
}

World::World(WorldOptions options) : options_(options) {
  calibrate();
}

std::string World::make_prompt(size_t task, std::string_view purpose, uint64_t index) const {
  RandomStream random(options_.seed, fmt::format("world prompt {}", purpose), {task, index});
  return draw_prompt(task, {options_.shared_cue, options_.distractor}, random);
}

std::string World::make_answer(std::string_view prompt, std::string_view purpose, uint64_t index,
                               uint64_t number) const {
  RandomStream random(options_.seed, fmt::format("world answer {} {}", purpose, prompt), {index, number});
  return draw_answer(prompt, {.match_rate = draw_match_rate(random)}, random);
}

std::string World::pretraining_text(uint64_t index) const {
  RandomStream random(options_.seed, "world pretraining", {index});
  const std::string prompt = draw_prompt(random.below(5), {options_.shared_cue, options_.distractor}, random);
  const double match_rate = random.chance(0.5) ? 0.9 : 0.5;
  return prompt +
         draw_answer(prompt, {.match_rate = match_rate, .matched_weight = 3, .verdicts = 0.5}, random);
}

double World::quality(const std::string& point, std::string_view prompt, std::string_view answer) {
  return raw_quality(point, count_words(prompt, answer));
}

std::vector<double> World::capabilities(size_t task, std::string_view prompt, std::string_view answer) const {
  return capabilities(task, count_words(prompt, answer));
}

std::vector<double> World::capabilities(size_t task, const AnswerCounts& counts) const {
  const std::vector<std::string>& points = tasks().at(task).points;
  std::vector<double> result(points.size());
  for (size_t i = 0; i < points.size(); ++i)
    result[i] = point_scale_[task][i].apply(raw_quality(points[i], counts));
  return result;
}

double World::gold(size_t task, std::string_view prompt, std::string_view answer) const {
  return mixed_scale_.at(task).apply(mixed_gold(task, count_words(prompt, answer)));
}

double World::own_gold(size_t task, const AnswerCounts& counts) const {
  return gold_scale_.at(task).apply(gold_formula(task, capabilities(task, counts)));
}

double World::mixed_gold(size_t task, const AnswerCounts& counts) const {
  if (options_.conflict == 1) return own_gold(task, counts);
  double shared = 0;
  for (size_t other = 0; other < tasks().size(); ++other)
    shared += own_gold(other, counts) / static_cast<double>(tasks().size());
  return options_.conflict * own_gold(task, counts) + (1 - options_.conflict) * shared;
}

PreferenceRecord World::ranked_list(size_t task, std::string_view purpose, uint64_t index, size_t answers,
                                    double noise) const {
  PreferenceRecord record;
  record.task = tasks().at(task).name;
  record.id = fmt::format("world-{}-{}-{}-{}", options_.seed, purpose, record.task, index);
  record.is_text = true;
  record.prompt_text = make_prompt(task, purpose, index);
  RandomStream random(options_.seed, fmt::format("world ranks {}", purpose), {task, index});
  std::vector<double> value;
  for (size_t i = 0; i < answers; ++i) {
    const std::string answer = make_answer(record.prompt_text, purpose, index, i);
    record.responses.push_back({{"assistant", answer}});
    const double own = gold(task, record.prompt_text, answer);
    if (noise == 0) record.gold.push_back(own);
    value.push_back(own + noise * random.normal());
  }
  for (const double own : value)
    record.ranks.push_back(1 + std::count_if(value.begin(), value.end(), [&](double v) { return v > own; }));
  return record;
}

PreferenceRecord World::human_list(size_t task, std::string_view purpose, uint64_t index,
                                   size_t answers) const {
  return ranked_list(task, purpose, index, answers, options_.human_noise);
}

PreferenceRecord World::exact_list(size_t task, std::string_view purpose, uint64_t index,
                                   size_t answers) const {
  return ranked_list(task, purpose, index, answers, 0);
}

void World::calibrate() {
  std::vector<std::vector<AnswerCounts>> words(tasks().size());  // of each task's answers
  for (size_t task = 0; task < tasks().size(); ++task) {
    const std::vector<std::string>& points = tasks()[task].points;
    std::vector<std::vector<double>> answers(kCalibrationAnswers);  // capabilities of each
    for (size_t i = 0; i < kCalibrationAnswers; ++i) {
      RandomStream random(kCalibrationSeed, "world calibration", {task, i});
      const std::string prompt = draw_prompt(task, {}, random);
      const AnswerCounts counts =
          count_words(prompt, draw_answer(prompt, {.match_rate = draw_match_rate(random)}, random));
      for (const std::string& point : points) answers[i].push_back(raw_quality(point, counts));
      words[task].push_back(counts);
    }
    std::vector<Scale> scales;
    for (size_t point = 0; point < points.size(); ++point) {
      scales.push_back(Scale::of(answers, [&](const auto& answer) { return answer[point]; }));
      for (std::vector<double>& answer : answers) answer[point] = scales.back().apply(answer[point]);
    }
    point_scale_.push_back(std::move(scales));
    gold_scale_.push_back(Scale::of(answers, [&](const auto& answer) { return gold_formula(task, answer); }));
  }
  for (size_t task = 0; task < tasks().size(); ++task)
    mixed_scale_.push_back(
        Scale::of(words[task], [&](const AnswerCounts& counts) { return mixed_gold(task, counts); }));
}

}  // namespace dmoerm::data
