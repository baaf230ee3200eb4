// What preference files hold: counts, lengths, ties, duplicates, prompts that files share, length bias.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "dmoerm/core/json.h"
#include "dmoerm/data/prompt_group.h"
#include "dmoerm/data/reader.h"

namespace dmoerm::data {

struct PairCounts {
  int64_t records = 0, answers = 0;
  int64_t pairs = 0;            // of different rank
  int64_t ties = 0;             // pairs of equal rank
  double longer_is_better = 0;  // pairs whose better answer has more characters; equal lengths count one half

  double length_bias() const { return pairs > 0 ? longer_is_better / static_cast<double>(pairs) : 0; }
};

struct LengthSummary {
  int64_t count = 0, median = 0, percentile95 = 0, largest = 0;
  double mean = 0;
};

struct SharedPrompts {
  size_t first_file = 0, second_file = 0;
  int64_t prompts = 0;  // distinct prompts that stand in both
};

struct DataStatistics {
  std::vector<std::filesystem::path> files;
  std::vector<int64_t> records_of_file;
  PairCounts all;
  std::map<std::string, PairCounts> tasks;  // "" for records that name none
  int64_t prompts = 0;                      // distinct
  int64_t duplicate_records = 0;            // same prompt and answers as an earlier record
  int64_t duplicate_answers = 0;            // equal to an earlier answer of the same record
  int64_t guessed_prompts = 0;              // records whose prompt is the common beginning of two texts
  int64_t bad_lines = 0;                    // skipped
  std::vector<SharedPrompts> shared;        // pairs of files that share prompts
  // In Unicode characters, or in tokens for records of ids; tokens of prompt and answer together when an
  // encoder is given.
  LengthSummary prompt_length, answer_length, sequence_tokens;
};

// Reads all files once. `encoder` may be null: then no tokens are counted.
DataStatistics collect_statistics(const std::vector<std::filesystem::path>& files,
                                  const ReaderOptions& options, GroupEncoder* encoder = nullptr);

std::string to_text(const DataStatistics& statistics);  // tables for people
Json to_json(const DataStatistics& statistics);

}  // namespace dmoerm::data
