// `dmoerm study STUDY.toml` as an option struct. docs/studies.md lists the keys.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/core/config.h"
#include "dmoerm/data/reader.h"
#include "dmoerm/data/world_files.h"

namespace dmoerm::study {

// What all methods of a cell learn from. A cell is a condition of the matrix.
struct Condition {
  uint64_t seed = 1;
  double size = 1;        // share of the training prompts
  double rank_noise = 0;  // share of the training records whose ranking is turned round
  double conflict = 1;    // of the synthetic world (data::WorldOptions)

  // The same but for the seed: what the tables compare.
  bool same_setting(const Condition& other) const {
    return size == other.size && rank_noise == other.rank_noise && conflict == other.conflict;
  }
  std::string setting() const;  // "size 0.5, rank noise 0.2"; "" for the defaults
};

// Records that every method scores.
struct EvaluationSet {
  std::string name;
  std::vector<std::filesystem::path> files;
  bool pool = false;          // for best-of-n: need not be ranked
  bool text_as_turn = false;  // as in [[data]] of a training configuration

  data::ReaderOptions reader_options() const {
    return {.text_as_turn = text_as_turn, .require_ranks = !pool};
  }
};

inline constexpr const char* kWorldTest = "test";
inline constexpr const char* kWorldPool = "pool";

struct StudyConfig {
  std::filesystem::path out;
  std::vector<std::string> methods;  // of study/method.h
  std::string reference = "dmoerm";  // the paired differences are to it
  std::vector<uint64_t> seeds = {1};
  std::vector<double> sizes = {1}, rank_noise = {0}, conflicts = {1};
  int64_t ensemble = 5;          // members
  double ensemble_lambda = 0.1;  // of the variance in the uncertainty-weighted one

  // Either the synthetic world…
  std::optional<data::WorldSizes> world;
  // …or real data: the configurations of a double-layer and of a single run, which name base, data and
  // labels.
  std::filesystem::path double_layer, single;
  std::vector<std::string> run_overrides;  // of both
  std::vector<EvaluationSet> evaluations;  // accuracy; the world has its own, kWorldTest
  std::vector<EvaluationSet> pools;  // best-of-n: many answers to a prompt; the world's own is kWorldPool

  std::vector<Condition> conditions() const;  // all cells, seeds innermost
  // Of the sets above, in order.
  std::vector<std::string> evaluation_names() const, pool_names() const;
};

StudyConfig load_study_config(const std::filesystem::path& path,
                              const std::vector<std::string>& overrides = {});

}  // namespace dmoerm::study
