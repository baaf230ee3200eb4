#include "dmoerm/study/study_config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "dmoerm/core/error.h"
#include "dmoerm/study/method.h"

namespace dmoerm::study {
namespace {

std::vector<double> read_numbers(Config& config, const std::string& key, double least, double most,
                                 std::vector<double> fallback) {
  config.get(key, fallback);
  for (const double value : fallback)
    if (!(value >= least && value <= most))
      config.invalid(key, fmt::format("numbers from {} to {}", least, most));
  if (fallback.empty()) config.invalid(key, "at least one number");
  if (std::set(fallback.begin(), fallback.end()).size() != fallback.size())
    config.invalid(key, "each number once");
  return fallback;
}

int64_t read_count(Config& table, const std::string& key, int64_t fallback, int64_t least) {
  table.get(key, fallback);
  if (fallback < least) table.invalid(key, fmt::format("at least {}", least));
  return fallback;
}

data::WorldSizes read_world(Config table) {
  data::WorldSizes sizes;
  sizes.train = read_count(table, "train", sizes.train, 20);
  sizes.test = read_count(table, "test", sizes.test, 1);
  sizes.pretraining = read_count(table, "pretraining", sizes.pretraining, 100);
  sizes.pool_prompts = read_count(table, "pool_prompts", sizes.pool_prompts, 0);
  sizes.pool_answers = read_count(table, "pool_answers", sizes.pool_answers, 2);
  return sizes;
}

std::vector<std::string> names_of(const std::vector<EvaluationSet>& sets) {
  std::vector<std::string> names;
  for (const EvaluationSet& set : sets) names.push_back(set.name);
  return names;
}

std::vector<EvaluationSet> read_sets(Config& config, const std::string& key, bool pool) {
  std::vector<EvaluationSet> sets;
  for (Config& table : config.tables(key)) {
    EvaluationSet set{table.required<std::string>("name"), {}, pool};
    const auto files = table.required<std::vector<std::string>>("files");
    set.files.assign(files.begin(), files.end());
    if (set.files.empty()) table.invalid("files", "at least one file");
    set.text_as_turn = train::read_text_as_turn(table);
    for (const EvaluationSet& other : sets)
      if (other.name == set.name) table.invalid("name", "a name that no other table has");
    sets.push_back(std::move(set));
  }
  return sets;
}

void read_real(Config& config, StudyConfig& study) {
  study.double_layer = config.required<std::string>("double_layer");
  study.single = config.required<std::string>("single");
  study.evaluations = read_sets(config, "evaluation", /*pool=*/false);
  study.pools = read_sets(config, "best_of_n", /*pool=*/true);
  if (study.evaluations.empty())
    fail("config", "{}: add at least one [[evaluation]] table with name and files", config.name());
  Config vars = config.table("vars");
  for (const std::string& key : vars.keys())
    study.run_overrides.push_back("vars." + key + "=" + vars.required<std::string>(key));
}

void read_methods(Config& config, StudyConfig& study) {
  for (const Method& method : all_methods()) study.methods.push_back(method.name);
  config.get("methods", study.methods);
  if (study.methods.empty()) config.invalid("methods", "at least one");
  for (const std::string& name : study.methods) find_method(name);
  config.get("reference", study.reference);
  if (std::ranges::find(study.methods, study.reference) == study.methods.end())
    fail("config", "{} is \"{}\", expected one of the methods: {}", config.name("reference"), study.reference,
         fmt::join(study.methods, ", "));
}

std::string short_number(double value) {
  return fmt::format("{}", value);
}

}  // namespace

std::string Condition::setting() const {
  std::vector<std::string> parts;
  if (size != 1) parts.push_back("size " + short_number(size));
  if (rank_noise != 0) parts.push_back("rank noise " + short_number(rank_noise));
  if (conflict != 1) parts.push_back("conflict " + short_number(conflict));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<Condition> StudyConfig::conditions() const {
  std::vector<Condition> result;
  for (const double conflict : conflicts)
    for (const double noise : rank_noise)
      for (const double size : sizes)
        for (const uint64_t seed : seeds) result.push_back({seed, size, noise, conflict});
  return result;
}

std::vector<std::string> StudyConfig::evaluation_names() const {
  return world ? std::vector<std::string>{kWorldTest} : names_of(evaluations);
}

std::vector<std::string> StudyConfig::pool_names() const {
  return world ? std::vector<std::string>{kWorldPool} : names_of(pools);
}

StudyConfig load_study_config(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  Config config = Config::load(path, overrides);
  StudyConfig study;
  study.out = config.required<std::string>("out");
  read_methods(config, study);
  study.seeds.clear();
  for (const double seed : read_numbers(config, "seeds", 0, 1e9, {1})) {
    if (seed != std::floor(seed)) config.invalid("seeds", "whole numbers");
    study.seeds.push_back(static_cast<uint64_t>(seed));
  }
  study.sizes = read_numbers(config, "sizes", 0.01, 1, {1});
  study.rank_noise = read_numbers(config, "rank_noise", 0, 0.5, {0});
  study.conflicts = read_numbers(config, "conflict", 0, 1, {1});
  study.ensemble = read_count(config, "ensemble", study.ensemble, 2);
  config.get("ensemble_lambda", study.ensemble_lambda);
  if (!(study.ensemble_lambda >= 0)) config.invalid("ensemble_lambda", "0 or more");
  if (config.has("world")) {
    study.world = read_world(config.table("world"));
  } else {
    if (study.conflicts != std::vector<double>{1}) config.invalid("conflict", "1: only a [world] has others");
    read_real(config, study);
  }
  config.finish();
  return study;
}

}  // namespace dmoerm::study
