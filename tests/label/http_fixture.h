// The synthetic world behind a scripted server: its judge answers over HTTP.
#pragma once

#include "dmoerm/data/world_files.h"
#include "dmoerm/label/judge_prompts.h"
#include "dmoerm/label/label_files.h"
#include "dmoerm/label/world_judge.h"
#include "tests/core/temporary_directory.h"
#include "tests/label/scripted_server.h"

namespace dmoerm::label {

// Finds the question in a prompt that the built-in English template made, and asks the world's judge.
class WorldOverHttp {
 public:
  WorldOverHttp(const fs::path& records, const WorldJudgeOptions& options) : judge_(options) {
    data::PreferenceReader reader({records});
    for (data::PreferenceRecord record; reader.next(record);) records_.emplace(record.prompt_text, record);
    const JudgePrompts prompts = JudgePrompts::builtin("en");
    for (const data::TaskPoints& task : prompts.tasks())
      for (const auto& [point, title] : task.titles) points_[title] = point;
  }

  ScriptedReply operator()(const ScriptedRequest& request) const {
    const std::string text = last_message(request);
    const std::string point = points_.at(between(text, "in respect of ", ".\n"));
    const std::string first = between(text, "[Reply 1]\n", "\n\n[Reply 2]\n");
    const std::string second =
        text.substr(text.find("[Reply 2]\n") + 10, text.size() - text.find("[Reply 2]\n") - 11);
    const auto [begin, end] = records_.equal_range(between(text, "[Question]\n", "\n\n[Reply 1]"));
    for (auto at = begin; at != end; ++at) {
      const auto a = answer_of(at->second, first), b = answer_of(at->second, second);
      if (a && b) {
        const Verdict verdict = judge_.judge({at->second, point, *a, *b});
        return chat_reply(verdict.choice == Choice::First ? "1" : "Reply 2 is better.", 200, 2);
      }
    }
    return {.status = 400, .body = "no such record"};
  }

 private:
  static std::string between(const std::string& text, const std::string& begin, const std::string& end) {
    const size_t from = text.find(begin) + begin.size();
    return text.substr(from, text.find(end, from) - from);
  }
  static std::optional<size_t> answer_of(const data::PreferenceRecord& record, const std::string& reply) {
    for (size_t i = 0; i < record.responses.size(); ++i)
      if (data::response_text(record.responses[i]) == reply) return i;
    return std::nullopt;
  }

  WorldJudge judge_;
  std::multimap<std::string, data::PreferenceRecord> records_;  // by prompt
  std::map<std::string, std::string> points_;                   // by title
};

class HttpLabelTest : public TemporaryDirectoryTest {
 protected:
  // Lists of four answers for each of the five tasks.
  void make_world(int64_t lists) {
    files_ = data::write_world(data::World(), directory_,
                               {.train = lists, .validation = 0, .test = 0, .pretraining = 0});
  }
  LabelRun run_against(const ScriptedServer& server) const {
    LabelRun run{.data = {files_.train}, .out = directory_ / "labels.jsonl"};
    run.http.endpoint = server.endpoint();
    run.chat.model = "judge";
    run.http.retry.first_delay = 0.005;
    run.http.retry.max_delay = 0.02;
    run.http.timeout = 20;
    return run;
  }
  std::vector<Json> lines_of(const std::string& name) const {
    std::vector<Json> lines;
    LineReader reader(directory_ / name);
    for (std::string line; reader.next(line);) lines.push_back(Json::parse(line));
    return lines;
  }
  data::WorldFiles files_;
};

}  // namespace dmoerm::label
