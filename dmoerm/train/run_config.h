// `dmoerm train RUN.toml` and `dmoerm pretrain BASE.toml` as option structs. docs/configuration.md lists the
// keys.
#pragma once

#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/core/config.h"
#include "dmoerm/data/prompt_group.h"
#include "dmoerm/data/task_points.h"
#include "dmoerm/models/adapter.h"
#include "dmoerm/train/stages.h"

namespace dmoerm::train {

// One [[data]] table: preference files that are read alike.
struct DataSource {
  std::vector<std::filesystem::path> files = {};
  double weight = 1;          // share of the drawn examples (kind "single")
  std::string task = {};      // not "": overrides the records' own
  bool text_as_turn = false;  // text = "turn"
  bool skip_bad = false;
};

struct RouterRun {
  std::string form = "classifier";  // "classifier", "adapter", "head", "none"
  TrainOptions train;
  models::LoraOptions lora;  // adapter
  double held_out = 0.2;     // of the prompts
};

struct RunConfig {
  std::string kind = "double_layer";  // or "single"
  std::filesystem::path out, base;
  uint64_t seed = 1;
  data::EncodeOptions encode;
  std::vector<DataSource> data;
  std::vector<std::filesystem::path> labels;
  std::vector<data::TaskPoints> tasks;
  SplitShares split;
  RouterRun router;
  std::optional<PreferenceStage> warm_start;  // a plain model of all tasks first, in place of the base
  std::string phase1_form = "full";           // or "lora"
  models::LoraOptions phase1_lora, phase2_lora;
  PreferenceStage phase1, phase2;  // kind "single" uses phase1 (its table is [train])
  AggregatorStage phase3;
  std::map<std::string, std::string> settings;  // every key of the configuration: the run's identity
};

RunConfig load_run_config(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});
RunConfig parse_run_config(Config config);

// The key "text" of a table of files: "raw" (the default), or "turn": a text prompt is a user turn.
bool read_text_as_turn(Config& table);

// Where a number must lie: above 0 or from 0, without end or up to `most`. NaN is outside.
struct Range {
  bool zero_allowed = true;
  double most = INFINITY;
  bool most_allowed = false;
};
// Reads a number; Error, naming the key, its value and the range, when it is outside.
void read_number(Config& table, const std::string& key, double& target, const Range& range);

// Readers of the tables that several configurations share.
void read_train_options(Config& table, TrainOptions& options);
void read_lora_options(Config table, models::LoraOptions& options);

}  // namespace dmoerm::train
