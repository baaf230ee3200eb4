// What `dmoerm label` does: preference files in, LABELS.jsonl out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dmoerm/data/reader.h"
#include "dmoerm/label/chat_request.h"
#include "dmoerm/label/http_judge.h"
#include "dmoerm/label/labeller.h"

namespace dmoerm::label {

struct LabelRun {
  std::vector<std::filesystem::path> data = {};
  std::filesystem::path out = {};  // LABELS.jsonl
  // "builtin" measures text; "world" knows the synthetic world; "ranks" are the human ranks; "http" is a
  // model behind an API. "": http when a model is named, else builtin.
  std::string judge = "";
  std::filesystem::path tasks = {};  // a tasks file; empty or "builtin": `points`, or the paper's five tasks
  std::vector<std::string> points = {};  // the same points for every task
  std::string task = {};                 // not "": the task of every record
  data::ReaderOptions reader = {};
  LabelOptions options = {};
  bool retry_failed = false;  // ask again what failed for good

  // For the judge "http":
  std::string language = {};  // of the prompts: "en" or "zh"; "": the tasks file's own
  ChatOptions chat = {};
  HttpJudgeOptions http = {};
  std::string key_variable = {};  // "": OPENAI_API_KEY where it is set
  std::filesystem::path key_file = {};
  bool keep_raw = false;                               // LABELS.raw
  bool dry_run = false;                                // count, ask nothing, write nothing
  std::filesystem::path write_batch = {};              // a folder for request files: nothing is asked
  std::vector<std::filesystem::path> read_batch = {};  // result files: nothing is asked
};

// "builtin", "world", "ranks" or "http": the judge that the run asks.
std::string judge_name(const LabelRun& run);

// Labels what LABELS.jsonl does not hold yet. Error for a bad setting or record.
LabelSummary label_files(const LabelRun& run);

}  // namespace dmoerm::label
