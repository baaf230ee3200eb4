#include "dmoerm/label/batch.h"

#include <algorithm>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/label/chat_answer.h"

namespace dmoerm::label {
namespace {

constexpr const char* kRequestFile = "requests-";

// {"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error"}
Verdict read_result(const Json& json, const std::string& where) {
  const auto response = json.find("response"), error = json.find("error");
  if (response != json.end() && response->is_object()) {
    HttpResponse http;
    http.status = static_cast<long>(json_field<int64_t>(*response, "status_code", where));
    http.body = response->contains("body") ? dump_json((*response)["body"]) : "";
    ChatAnswer answer = read_chat_answer(std::move(http), {}, 0);
    return std::move(answer.verdict);
  }
  if (error == json.end() || error->is_null())
    fail(where, "neither \"response\" nor \"error\" holds anything");
  const std::string text = error->is_object()
                               ? json_field_or<std::string>(*error, "message", error->dump(), where)
                               : error->dump();
  return {Choice::Failed, "the batch failed: " + one_line(text)};
}

}  // namespace

std::string batch_id(const Question& question, const std::string& judge) {
  const std::string key =
      fmt::format("{}\n{:016x}\n{}\n{}\n{}\n{}\n{}", question.record.id, data::answers_hash(question.record),
                  question.point, judge, question.first, question.second, question.vote);
  return "dmoerm-" + hash64_hex(key, 0) + hash64_hex(key, 1);
}

BatchWriter::BatchWriter(const ChatRequests& requests, fs::path directory, int64_t max_lines)
    : requests_(requests), directory_(std::move(directory)), max_lines_(max_lines) {
  fs::create_directories(directory_);
  for (const auto& entry : fs::directory_iterator(directory_))
    if (entry.path().filename().string().starts_with(kRequestFile))
      fail("label",
           "{} holds request files already: read their results with --read-batch, or name another folder",
           directory_.string());
}

void BatchWriter::ask(const Question& question, Done done) {
  const ChatRequest request = requests_.make(question);
  const std::string line =
      fmt::format(R"({{"custom_id":"{}","method":"POST","url":"/v1/chat/completions","body":{}}})",
                  batch_id(question, name()), request.body) +
      "\n";
  if (lines_ == max_lines_ || bytes_ + std::ssize(line) > kMaxBytes) finish();
  if (file_ == nullptr) {
    ++num_files_;
    file_ = std::make_unique<AtomicFile>(directory_ / fmt::format("{}{:05}.jsonl", kRequestFile, num_files_));
  }
  file_->write(line);
  ++lines_;
  bytes_ += std::ssize(line);
  ++num_requests_;
  num_cut_ += request.num_cut;
  done({Choice::Unasked});
}

void BatchWriter::finish() {
  if (file_ == nullptr) return;
  file_->commit();
  file_.reset();
  lines_ = bytes_ = 0;
}

std::string BatchWriter::summary() const {
  std::string text =
      fmt::format("{} requests in {} files written to {}\n", num_requests_, num_files_, directory_.string());
  if (num_cut_ > 0)
    text += fmt::format("{} replies were cut at {} characters\n", num_cut_,
                        requests_.options().max_answer_characters);
  return text;
}

BatchReader::BatchReader(std::string model, const std::vector<fs::path>& files, bool keep_raw)
    : model_(std::move(model)) {
  if (model_.empty()) fail("label", "the model is not named: give --model");
  for (const fs::path& file : files) read(file, keep_raw);
}

// Of two results of one request, one that did not fail counts.
void BatchReader::read(const fs::path& file, bool keep_raw) {
  LineReader lines(file);
  for (std::string line; lines.next(line);) {
    if (line.empty()) continue;
    const std::string where = fmt::format("{}:{}", file.string(), lines.line_number());
    const Json json = parse_json(line, where);
    const auto id = json_field<std::string>(json, "custom_id", where);
    Verdict verdict = read_result(json, where);
    if (!keep_raw) verdict.raw = nullptr;
    ++num_lines_;
    const auto [known, added] = results_.try_emplace(id);
    num_repeated_ += !added;
    if (added || known->second.verdict.choice == Choice::Failed) known->second.verdict = std::move(verdict);
  }
}

void BatchReader::ask(const Question& question, Done done) {
  const auto result = results_.find(batch_id(question, model_));
  if (result == results_.end()) {
    done({Choice::Unasked});
    return;
  }
  result->second.use = Use::Taken;
  done(result->second.verdict);
}

void BatchReader::already_answered(const Question& question) {
  const auto result = results_.find(batch_id(question, model_));
  if (result != results_.end()) result->second.use = Use::AnsweredBefore;
}

std::string BatchReader::summary() const {
  const auto count = [&](Use use) {
    return std::count_if(results_.begin(), results_.end(),
                         [&](const auto& result) { return result.second.use == use; });
  };
  return fmt::format("{} results read: {} taken, {} answered before, {} repeated, {} of unknown requests\n",
                     num_lines_, count(Use::Taken), count(Use::AnsweredBefore), num_repeated_,
                     count(Use::None));
}

}  // namespace dmoerm::label
