// The data of a run: files -> prompt groups in the run's cache, and what the router learns from.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "dmoerm/data/group_store.h"
#include "dmoerm/train/router_objective.h"
#include "dmoerm/train/run_config.h"

namespace dmoerm::train {

// Opens the cache in `config.out`/cache, or reads all files and writes it. For kind "single" a group's task
// is the number of the [[data]] table that it comes from.
data::GroupStore load_run_data(const RunConfig& config, const text::Tokenizer& tokenizer);

// Gives the records of every [[data]] table, one after another.
void read_run_records(const RunConfig& config, const std::function<void(const data::PreferenceRecord&)>& use);

// What must not change between a run's start and its resume: configuration, tasks, data, labels, base, and
// the type that its weights have.
Json run_identity(const RunConfig& config, const data::GroupStore& store, torch::ScalarType dtype);

// The distinct prompts as router inputs.
struct RouterData {
  std::vector<RouterExample> train, held_out;              // prompts of a known task
  std::map<uint64_t, std::vector<int32_t>> unknown_tasks;  // inputs of prompts whose task no plan names
};
RouterData load_router_data(const RunConfig& config, const text::Tokenizer& tokenizer);

// Index of the plan that takes a record's task, or -1.
int64_t task_index(const std::vector<data::TaskPoints>& tasks, const std::string& name);

}  // namespace dmoerm::train
