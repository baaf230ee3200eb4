#include "dmoerm/data/statistics.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/data/split.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::data {
namespace {

int64_t prompt_length(const PreferenceRecord& record) {
  if (record.is_ids) return static_cast<int64_t>(record.prompt_ids.size());
  if (record.is_text) return text::count_characters(record.prompt_text);
  int64_t length = 0;
  for (const Message& message : record.messages) length += text::count_characters(message.content);
  return length;
}

std::vector<int64_t> answer_lengths(const PreferenceRecord& record) {
  std::vector<int64_t> lengths;
  for (const auto& ids : record.response_ids) lengths.push_back(static_cast<int64_t>(ids.size()));
  for (const Response& response : record.responses)
    lengths.push_back(text::count_characters(response_text(response)));
  return lengths;
}

int64_t num_duplicate_answers(const PreferenceRecord& record) {
  std::set<std::vector<int32_t>> ids(record.response_ids.begin(), record.response_ids.end());
  std::set<std::string> texts;
  for (const Response& response : record.responses) texts.insert(response_text(response));
  return static_cast<int64_t>(record.num_answers() - ids.size() - texts.size());
}

void count_pairs(const PreferenceRecord& record, const std::vector<int64_t>& lengths, PairCounts& counts) {
  ++counts.records;
  counts.answers += static_cast<int64_t>(lengths.size());
  for (size_t i = 0; i < record.ranks.size(); ++i) {
    for (size_t j = 0; j < record.ranks.size(); ++j) {
      if (i < j && record.ranks[i] == record.ranks[j]) ++counts.ties;
      if (record.ranks[i] >= record.ranks[j]) continue;
      ++counts.pairs;
      counts.longer_is_better += lengths[i] > lengths[j] ? 1 : lengths[i] == lengths[j] ? 0.5 : 0;
    }
  }
}

LengthSummary summarize(std::vector<int64_t>& lengths) {
  LengthSummary summary;
  if (lengths.empty()) return summary;
  std::ranges::sort(lengths);
  summary.count = static_cast<int64_t>(lengths.size());
  summary.mean = std::accumulate(lengths.begin(), lengths.end(), 0.0) / static_cast<double>(lengths.size());
  summary.median = lengths[(lengths.size() - 1) / 2];
  summary.percentile95 = lengths[(lengths.size() - 1) * 95 / 100];
  summary.largest = lengths.back();
  return summary;
}

template <typename T>
void sort_unique(std::vector<T>& values) {
  std::ranges::sort(values);
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

using PromptInFile = std::pair<uint64_t, size_t>;

// `places`: sorted and distinct.
void count_prompts(const std::vector<PromptInFile>& places, DataStatistics& statistics) {
  std::map<std::pair<size_t, size_t>, int64_t> shared;
  for (auto begin = places.begin(), end = begin; begin != places.end(); begin = end) {
    while (end != places.end() && end->first == begin->first) ++end;
    ++statistics.prompts;
    for (auto a = begin; a != end; ++a)
      for (auto b = a + 1; b != end; ++b) ++shared[{a->second, b->second}];
  }
  for (const auto& [files, prompts] : shared)
    statistics.shared.push_back({files.first, files.second, prompts});
}

}  // namespace

DataStatistics collect_statistics(const std::vector<std::filesystem::path>& files,
                                  const ReaderOptions& options, GroupEncoder* encoder) {
  DataStatistics statistics;
  statistics.files = files;
  statistics.records_of_file.resize(files.size());
  std::vector<PromptInFile> places;
  std::vector<uint64_t> contents;
  std::vector<int64_t> prompts, answers, tokens;
  PreferenceReader reader(files, options);
  Progress progress("read", 0, "records");
  PreferenceRecord record;
  while (reader.next(record)) {
    progress.advance(1);
    ++statistics.records_of_file[reader.file_index()];
    const auto lengths = answer_lengths(record);
    count_pairs(record, lengths, statistics.all);
    count_pairs(record, lengths, statistics.tasks[record.task]);
    statistics.guessed_prompts += record.prompt_guessed;
    statistics.duplicate_answers += num_duplicate_answers(record);
    places.emplace_back(prompt_hash(record), reader.file_index());
    contents.push_back(hash_combine(prompt_hash(record), answers_hash(record)));
    prompts.push_back(prompt_length(record));
    answers.insert(answers.end(), lengths.begin(), lengths.end());
    if (encoder == nullptr) continue;
    const PromptGroup group = encoder->encode(record);
    for (const RecordAnswers& answer : group.records)
      for (const int32_t s : answer.sequence_of_answer)
        tokens.push_back(static_cast<int64_t>(group.sequences[s].size()));
  }
  statistics.bad_lines = reader.num_bad();
  sort_unique(contents);
  statistics.duplicate_records = statistics.all.records - static_cast<int64_t>(contents.size());
  sort_unique(places);
  count_prompts(places, statistics);
  statistics.prompt_length = summarize(prompts);
  statistics.answer_length = summarize(answers);
  statistics.sequence_tokens = summarize(tokens);
  return statistics;
}

namespace {

std::string counts_line(const std::string& name, const PairCounts& counts, size_t width) {
  return fmt::format(
      "{:<{}}  {:>9}  {:>9}  {:>9}  {:>9}  {}\n", name, width, counts.records, counts.answers, counts.pairs,
      counts.ties,
      counts.pairs > 0 ? fmt::format("{:>12.1f}%", 100 * counts.length_bias()) : fmt::format("{:>13}", "-"));
}

std::string length_line(const std::string& name, const LengthSummary& lengths) {
  return fmt::format("{:<22}  {:>9.1f}  {:>9}  {:>9}  {:>9}\n", name, lengths.mean, lengths.median,
                     lengths.percentile95, lengths.largest);
}

Json length_json(const LengthSummary& lengths) {
  return {{"count", lengths.count},
          {"mean", lengths.mean},
          {"median", lengths.median},
          {"p95", lengths.percentile95},
          {"max", lengths.largest}};
}

Json counts_json(const PairCounts& counts) {
  return {{"records", counts.records},
          {"answers", counts.answers},
          {"pairs", counts.pairs},
          {"ties", counts.ties},
          {"longer_is_better", counts.pairs > 0 ? Json(counts.length_bias()) : Json()}};
}

}  // namespace

std::string to_text(const DataStatistics& statistics) {
  std::string text;
  for (size_t f = 0; f < statistics.files.size(); ++f)
    text += fmt::format("{}: {} records\n", statistics.files[f].string(), statistics.records_of_file[f]);
  text += fmt::format(
      "distinct prompts {}, repeated records {}, repeated answers within a record {}, bad lines {}\n",
      statistics.prompts, statistics.duplicate_records, statistics.duplicate_answers, statistics.bad_lines);
  if (statistics.guessed_prompts > 0) text += guessed_prompts_text(statistics.guessed_prompts) + "\n";
  for (const SharedPrompts& shared : statistics.shared)
    text += fmt::format("{} prompts stand in both {} and {}\n", shared.prompts,
                        statistics.files[shared.first_file].string(),
                        statistics.files[shared.second_file].string());
  if (statistics.files.size() > 1 && statistics.shared.empty()) text += "no prompt stands in two files\n";

  text += fmt::format("\n{:<22}  {:>9}  {:>9}  {:>9}  {:>9}\n", "length", "mean", "median", "95%", "largest");
  text += length_line("prompt, characters", statistics.prompt_length);
  text += length_line("answer, characters", statistics.answer_length);
  if (statistics.sequence_tokens.count > 0)
    text += length_line("sequence, tokens", statistics.sequence_tokens);

  size_t width = 4;
  for (const auto& [task, counts] : statistics.tasks) width = std::max(width, task.size());
  text += fmt::format("\n{:<{}}  {:>9}  {:>9}  {:>9}  {:>9}  {}\n", "task", width, "records", "answers",
                      "pairs", "ties", "longer better");
  for (const auto& [task, counts] : statistics.tasks)
    text += counts_line(task.empty() ? "-" : task, counts, width);
  if (statistics.tasks.size() > 1) text += counts_line("all", statistics.all, width);
  return text;
}

Json to_json(const DataStatistics& statistics) {
  Json files = Json::array(), shared = Json::array(), tasks = Json::object();
  for (size_t f = 0; f < statistics.files.size(); ++f)
    files.push_back({{"file", statistics.files[f].string()}, {"records", statistics.records_of_file[f]}});
  for (const SharedPrompts& pair : statistics.shared)
    shared.push_back(
        {{"files", {statistics.files[pair.first_file].string(), statistics.files[pair.second_file].string()}},
         {"prompts", pair.prompts}});
  for (const auto& [task, counts] : statistics.tasks) tasks[task] = counts_json(counts);
  Json json = {{"files", files},
               {"all", counts_json(statistics.all)},
               {"tasks", tasks},
               {"prompts", statistics.prompts},
               {"duplicate_records", statistics.duplicate_records},
               {"guessed_prompts", statistics.guessed_prompts},
               {"duplicate_answers", statistics.duplicate_answers},
               {"bad_lines", statistics.bad_lines},
               {"shared_prompts", shared},
               {"prompt_length", length_json(statistics.prompt_length)},
               {"answer_length", length_json(statistics.answer_length)}};
  if (statistics.sequence_tokens.count > 0) json["sequence_tokens"] = length_json(statistics.sequence_tokens);
  return json;
}

}  // namespace dmoerm::data
