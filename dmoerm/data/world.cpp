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

World::World(WorldOptions options) : options_(options) { calibrate(); }

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
  return prompt + draw_answer(prompt, {.match_rate = match_rate, .matched_weight = 3, .verdicts = 0.5}, random);
}

double World::quality(const std::string& point, std::string_view prompt, std::string_view answer) {
  return raw_quality(point, count_words(prompt, answer));
}

std::vector<double> World::capabilities(size_t task, std::string_view prompt, std::string_view answer) const {
  const AnswerCounts counts = count_words(prompt, answer);
  const std::vector<std::string>& points = tasks().at(task).points;
  std::vector<double> result(points.size());
  for (size_t i = 0; i < points.size(); ++i) {
    const Scale& scale = point_scale_[task][i];
    result[i] = (raw_quality(points[i], counts) - scale.mean) / scale.deviation;
  }
  return result;
}

double World::gold(size_t task, std::string_view prompt, std::string_view answer) const {
  const double value = gold_formula(task, capabilities(task, prompt, answer));
  return (value - gold_scale_[task].mean) / gold_scale_[task].deviation;
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
    value.push_back(gold(task, record.prompt_text, answer) + noise * random.normal());
  }
  for (const double own : value)
    record.ranks.push_back(1 + std::count_if(value.begin(), value.end(), [&](double v) { return v > own; }));
  return record;
}

PreferenceRecord World::human_list(size_t task, std::string_view purpose, uint64_t index, size_t answers) const {
  return ranked_list(task, purpose, index, answers, options_.human_noise);
}

PreferenceRecord World::exact_list(size_t task, std::string_view purpose, uint64_t index, size_t answers) const {
  return ranked_list(task, purpose, index, answers, 0);
}

void World::calibrate() {
  const auto scale_of = [](const std::vector<double>& values) {
    double sum = 0, squares = 0;
    for (const double value : values) sum += value;
    const double mean = sum / values.size();
    for (const double value : values) squares += (value - mean) * (value - mean);
    return Scale{mean, std::sqrt(squares / values.size())};
  };
  point_scale_.resize(tasks().size());
  for (size_t task = 0; task < tasks().size(); ++task) {
    point_scale_[task].resize(tasks()[task].points.size());
    std::vector<std::pair<std::string, std::string>> sample;
    for (size_t i = 0; i < kCalibrationAnswers; ++i) {
      RandomStream random(kCalibrationSeed, "world calibration", {task, i});
      const std::string prompt = draw_prompt(task, {}, random);
      sample.emplace_back(prompt, draw_answer(prompt, {.match_rate = draw_match_rate(random)}, random));
    }
    std::vector<std::vector<double>> columns(point_scale_[task].size());
    for (const auto& [prompt, answer] : sample) {
      const std::vector<double> values = capabilities(task, prompt, answer);
      for (size_t i = 0; i < values.size(); ++i) columns[i].push_back(values[i]);
    }
    for (size_t i = 0; i < columns.size(); ++i) point_scale_[task][i] = scale_of(columns[i]);
    std::vector<double> rewards;
    for (const auto& [prompt, answer] : sample)
      rewards.push_back(gold_formula(task, capabilities(task, prompt, answer)));
    gold_scale_.push_back(scale_of(rewards));
  }
}

}  // namespace dmoerm::data
