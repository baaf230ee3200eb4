#include "dmoerm/reward/score_file.h"

#include "dmoerm/core/log.h"
#include "dmoerm/reward/double_layer_model.h"

namespace dmoerm::reward {
namespace {

using OrderedJson = nlohmann::ordered_json;

// Lines are scored in windows: large enough for even batches, small enough to hold in memory.
constexpr size_t kWindowRecords = 2048, kWindowBytes = 4 << 20;

// A line of the input: a record, or what is wrong with it.
struct Line {
  Json id;
  std::string error;  // "": the next record of the window
};

// The id of a line that is no record, where one can be read: a text, as a record's.
Json id_of(const std::string& text) {
  try {
    const Json json = parse_json(text, "line");
    const auto id = json.is_object() ? json.find("id") : json.end();
    if (id == json.end() || !(id->is_string() || id->is_number_integer())) return {};
    return id->is_string() ? *id : Json(id->dump());
  } catch (const Error&) {
    return {};
  }
}

std::string error_line(const Json& id, const std::string& error) {
  return OrderedJson{{"id", id}, {"error", error}}.dump(-1, ' ', false,
                                                        OrderedJson::error_handler_t::replace) +
         "\n";
}

std::string score_line(const RecordScorer& scorer, const std::string& id, const RecordScore& score) {
  OrderedJson json = {{"id", id}, {"task", score.task}, {"task_probs", nullptr}, {"rewards", score.rewards}};
  if (score.task.empty()) json["task"] = nullptr;
  for (size_t c = 0; c < score.task_probs.size(); ++c)
    json["task_probs"][scorer.double_layer()->router->labels[c]] = score.task_probs[c];
  const std::vector<std::string> names = scorer.expert_names(score);
  for (size_t k = 0; k < score.experts.size(); ++k)
    if (!names[k].empty()) json["experts"][names[k]] = score.experts[k];
  return json.dump() + "\n";
}

}  // namespace

ScoreFileResult score_file(RecordScorer& scorer, const std::filesystem::path& input,
                           const std::function<void(std::string_view)>& write, data::ReaderOptions options) {
  options.require_ranks = false;
  options.skip_bad = false;
  data::PreferenceReader reader({input}, options);
  Progress progress("score", 0, "records");
  ScoreFileResult result;
  for (bool more = true; more;) {
    std::vector<Line> lines;
    std::vector<data::PreferenceRecord> records;
    for (size_t bytes = 0; lines.size() < kWindowRecords && bytes < kWindowBytes;
         bytes += reader.line().size()) {
      try {
        data::PreferenceRecord record;
        more = reader.next(record);
        if (!more) break;
        lines.push_back({record.id, ""});
        records.push_back(std::move(record));
      } catch (const data::BadRecord& error) {
        lines.push_back({id_of(reader.line()), error.what()});
      }
    }
    const auto scores = scorer.score(records);
    size_t next = 0;
    for (auto& line : lines) {
      ++result.lines;
      const RecordScore* score = line.error.empty() ? &scores[next++] : nullptr;
      if (score) line.error = score->error;
      result.bad += !line.error.empty();
      write(line.error.empty() ? score_line(scorer, line.id.get<std::string>(), *score)
                               : error_line(line.id, line.error));
    }
    progress.advance(static_cast<int64_t>(lines.size()));
  }
  return result;
}

}  // namespace dmoerm::reward
