// What the training tests share: records of token ids, a store of them, a run directory, tiny decoders.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/core/random.h"
#include "dmoerm/core/safetensors.h"
#include "dmoerm/data/group_store.h"
#include "dmoerm/models/adapter.h"
#include "dmoerm/train/stages.h"

namespace dmoerm::train {

inline const std::filesystem::path kFixtures = DMOERM_TEST_DATA;

class TrainTest : public ::testing::Test {
 protected:
  TrainTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::temp_directory_path() /
                 fmt::format("dmoerm-{}-{}-{}", test->test_suite_name(), test->name(), getpid());
    remove_tree(directory_);
    fs::create_directories(directory_);
  }
  ~TrainTest() override { remove_tree(directory_); }

  // A store of records that hold token ids.
  data::GroupStore make_store(const std::vector<data::PreferenceRecord>& records,
                              const std::string& name = "groups") {
    data::GroupEncoder encoder(std::nullopt, {});
    size_t next = 0;
    return data::GroupStore::build(directory_ / (name + ".bin"), 1, encoder,
                                   [&](data::PreferenceRecord& record) {
                                     if (next == records.size()) return false;
                                     record = records[next++];
                                     return true;
                                   });
  }

  // Lists of `answers` random answers; an answer with more tokens below half of the vocabulary is better.
  static std::vector<data::PreferenceRecord> random_records(int64_t count, int64_t answers,
                                                            int64_t vocabulary, uint64_t seed,
                                                            const std::string& task = "t") {
    std::vector<data::PreferenceRecord> records;
    for (int64_t i = 0; i < count; ++i) {
      RandomStream random(seed, "records", {static_cast<uint64_t>(i)});
      data::PreferenceRecord record;
      record.id = task + std::to_string(i);
      record.task = task;
      record.is_ids = true;
      for (uint64_t t = 0, n = 3 + random.below(9); t < n; ++t)
        record.prompt_ids.push_back(static_cast<int32_t>(random.below(vocabulary)));
      std::vector<int64_t> quality;
      for (int64_t a = 0; a < answers; ++a) {
        std::vector<int32_t> ids;
        int64_t low = 0;
        for (uint64_t t = 0, n = 1 + random.below(8); t < n; ++t) {
          ids.push_back(static_cast<int32_t>(random.below(vocabulary)));
          low += ids.back() < vocabulary / 2 ? 1 : -1;
        }
        record.response_ids.push_back(ids);
        quality.push_back(low);
      }
      for (const int64_t mine : quality) {
        int64_t rank = 1;
        for (const int64_t other : quality) rank += other > mine;
        record.ranks.push_back(rank);
      }
      records.push_back(std::move(record));
    }
    return records;
  }

  static nn::DecoderConfig tiny_config() {
    nn::DecoderConfig config;
    config.vocab_size = 50;
    config.hidden_size = 16;
    config.intermediate_size = 24;
    config.num_layers = 2;
    config.num_heads = config.num_kv_heads = 2;
    config.head_dim = 8;
    return config;
  }

  static std::vector<int64_t> all_groups(const data::GroupStore& store) {
    std::vector<int64_t> groups(store.size());
    for (int64_t i = 0; i < store.size(); ++i) groups[i] = i;
    return groups;
  }

  static Tensor random_head(int64_t rows, int64_t width, uint64_t seed) {
    RandomStream random(seed, "test head");
    std::vector<float> values(rows * width);
    for (float& value : values) value = static_cast<float>(0.3 * random.normal());
    return torch::tensor(values).view({rows, width});
  }

  // The pairs of train_trace.safetensors.
  static std::vector<data::PreferenceRecord> trace_records(const SafeTensors& trace) {
    const auto ids = [&](const char* part, int pair) -> std::vector<int32_t> {
      const Tensor values = trace.tensor(fmt::format("{}.{}", part, pair)).to(torch::kInt32).contiguous();
      return {values.data_ptr<int32_t>(), values.data_ptr<int32_t>() + values.numel()};
    };
    std::vector<data::PreferenceRecord> records;
    for (int i = 0; i < 4; ++i) {
      data::PreferenceRecord record;
      record.id = std::to_string(i);
      record.is_ids = true;
      record.prompt_ids = ids("prompt", i);
      record.response_ids = {ids("chosen", i), ids("rejected", i)};
      record.ranks = {1, 2};
      records.push_back(std::move(record));
    }
    return records;
  }

  // Trains `base` as the reference did; the metrics lines of its eight steps.
  std::vector<Json> train_trace(const data::GroupStore& store, models::Checkpoint& base, int64_t token_budget,
                                const std::string& name) {
    RunDirectory run(directory_ / name, false);
    run.begin({{"test", 1}});
    StageContext context{run, store, 1, 1e12};
    PreferenceStage stage;
    stage.train = {
        .epochs = 8, .batch = 4, .lr = 1e-3, .weight_decay = 0.01, .clip = 1.0, .keep_best = false};
    stage.train.schedule = {"constant", 0, 1};
    stage.preference.token_budget = token_budget;
    PreferenceLane lane;
    lane.name = "model";
    lane.head_PD = new_head(base, 1, 1);
    lane.train = human_examples(store, all_groups(store));
    train_whole(context, "trace", base, std::move(lane), stage);
    std::vector<Json> lines;
    for (const Json& line : metrics(directory_ / name))
      if (line.contains("loss")) lines.push_back(line);
    return lines;
  }

  std::vector<Json> metrics(const fs::path& run) const {
    std::vector<Json> lines;
    LineReader reader(run / "metrics.jsonl");
    for (std::string line; reader.next(line);) lines.push_back(parse_json(line, "metrics"));
    return lines;
  }

  fs::path directory_;
};

}  // namespace dmoerm::train
