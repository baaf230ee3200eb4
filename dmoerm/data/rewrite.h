// Whole files of preference records checked, split, and converted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "dmoerm/data/reader.h"
#include "dmoerm/data/split.h"

namespace dmoerm::data {

struct CheckResult {
  int64_t records = 0, problems = 0;  // problems: bad lines, and files that cannot be read
};

// Reads everything and reports every problem by one line "FILE:LINE: reason" or "[read] …".
CheckResult check_files(const std::vector<std::filesystem::path>& files, const ReaderOptions& options,
                        const std::function<void(const std::string&)>& report);

// Writes each record's line, unchanged, to DIRECTORY/<part>.jsonl, and split.json that says how it was done.
// All appears at once or not at all; an existing directory is an Error. Returns the records of each part.
std::vector<int64_t> split_files(const std::vector<std::filesystem::path>& files,
                                 const ReaderOptions& options, const PromptSplit& split,
                                 const std::filesystem::path& directory);

// Hands every record, in the native format, to `write` as one line with its newline. Returns their number.
int64_t convert_files(const std::vector<std::filesystem::path>& files, const ReaderOptions& options,
                      const std::function<void(const std::string&)>& write);

}  // namespace dmoerm::data
