// Batch files of OpenAI-compatible APIs: requests are written to files that the user hands in, and the
// results are read later, in any order.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "dmoerm/core/file.h"
#include "dmoerm/label/chat_request.h"
#include "dmoerm/label/judge.h"

namespace dmoerm::label {

// Joins a request with its result: a hash of record, answers, point, judge, order and vote.
std::string batch_id(const Question& question, const std::string& judge);

// Writes DIRECTORY/requests-00001.jsonl and so on, each whole or not at all.
class BatchWriter : public Judge {
 public:
  static constexpr int64_t kMaxLines = 50'000, kMaxBytes = 190'000'000;  // of a file: the API's limits

  // Error when the directory holds request files already: what was handed in would be paid for again.
  BatchWriter(const ChatRequests& requests, std::filesystem::path directory, int64_t max_lines = kMaxLines);

  std::string name() const override { return requests_.model(); }
  void check_point(const std::string&) const override {}
  void ask(const Question& question, Done done) override;
  void finish() override;
  std::string summary() const override;

 private:
  ChatRequests requests_;
  std::filesystem::path directory_;
  int64_t max_lines_;
  std::unique_ptr<AtomicFile> file_;
  int64_t lines_ = 0, bytes_ = 0;  // of the file
  int64_t num_requests_ = 0, num_files_ = 0, num_cut_ = 0;
};

// Answers from result and error files; a question without a result stays open.
class BatchReader : public Judge {
 public:
  // Error, with file and line, for a line that is no result.
  BatchReader(std::string model, const std::vector<std::filesystem::path>& files, bool keep_raw);

  std::string name() const override { return model_; }
  void check_point(const std::string&) const override {}
  void ask(const Question& question, Done done) override;
  void already_answered(const Question& question) override;
  std::string summary() const override;

 private:
  void read(const std::filesystem::path& file, bool keep_raw);

  enum class Use { None, Taken, AnsweredBefore };
  struct Result {
    Verdict verdict;
    Use use = Use::None;
  };
  std::string model_;
  std::unordered_map<std::string, Result> results_;  // by id
  int64_t num_lines_ = 0, num_repeated_ = 0;
};

}  // namespace dmoerm::label
