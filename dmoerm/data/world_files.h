// The synthetic world as files, in the formats that real data come in.
#pragma once

#include <filesystem>

#include "dmoerm/data/world.h"

namespace dmoerm::data {

// Lists of 4 answers for each task, and texts for all.
struct WorldSizes {
  int64_t train = 400, validation = 60, test = 250, pretraining = 12000;
  int64_t pool_prompts = 0, pool_answers = 256;  // prompts of each task with many answers, for best-of-n
};

struct WorldFiles {
  std::filesystem::path train, validation, test;  // native preference records; the test's ranks are exact
  std::filesystem::path pool;                     // as the test
  std::filesystem::path pretraining;              // one text a line
};

// Writes train.jsonl, validation.jsonl, test.jsonl, pool.jsonl and pretraining.txt into `directory`, those
// whose size is not 0.
WorldFiles write_world(const World& world, const std::filesystem::path& directory,
                       const WorldSizes& sizes = {});

}  // namespace dmoerm::data
