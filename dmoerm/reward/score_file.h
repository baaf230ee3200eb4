// Scores a file of records into JSON lines: one line out for each line in, in the same order.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "dmoerm/data/reader.h"
#include "dmoerm/reward/record_scorer.h"

namespace dmoerm::reward {

struct ScoreFileResult {
  int64_t lines = 0, bad = 0;  // bad: written as {"id", "error"}
};

// `write` gets each line with its newline. Empty lines are skipped; a line that is no record, or cannot be
// scored, gives {"id", "error"} and the rest goes on. Error when the input cannot be read at all.
ScoreFileResult score_file(RecordScorer& scorer, const std::filesystem::path& input,
                           const std::function<void(std::string_view)>& write,
                           data::ReaderOptions reader = {});

}  // namespace dmoerm::reward
