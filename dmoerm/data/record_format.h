// The table of record formats. A format is one short file format_*.cpp and one row of the table.
#pragma once

#include <span>
#include <string>

#include "dmoerm/core/json.h"
#include "dmoerm/data/reader.h"

namespace dmoerm::data {

struct RecordFormat {
  std::string name;
  std::string keys;  // what its rows hold, for messages
  bool (*matches)(const Json& row);
  // Fills everything but a missing id. Error when a field is absent or wrong.
  void (*read)(const Json& row, const ReaderOptions& options, PreferenceRecord& record);
};

// In the order in which they are tried: the first that matches reads the row.
std::span<const RecordFormat> record_formats();

// The rows of the table, by file.
RecordFormat token_ids_format();  // format_token_ids.cpp
RecordFormat token_id_pairs_format();
RecordFormat native_format();       // format_native.cpp
RecordFormat ranked_list_format();  // format_ranked_list.cpp
RecordFormat best_of_n_format();    // format_best_of_n.cpp
RecordFormat best_of_n_pair_format();
RecordFormat reward_bench_format();     // format_reward_bench.cpp
RecordFormat transcript_pair_format();  // format_transcript.cpp
RecordFormat pair_format();             // format_pair.cpp

// The record as one line of the native format, without the newline.
std::string to_native(const PreferenceRecord& record);

}  // namespace dmoerm::data
