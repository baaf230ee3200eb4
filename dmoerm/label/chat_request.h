// A question as an OpenAI-compatible chat completion: the request's body, and how many tokens it may cost.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "dmoerm/core/json.h"
#include "dmoerm/label/judge_prompts.h"
#include "dmoerm/text/tokenizer.h"

namespace dmoerm::label {

struct ChatOptions {
  std::string model;
  std::string system;  // a message before; "": the template's
  double temperature = 0;
  int64_t max_tokens = 64;                // of an answer
  int64_t max_answer_characters = 16000;  // of a reply that is shown; 0: all
  Json extra_body = Json::object();       // merged into the body (RFC 7386): null removes a key
  std::filesystem::path tokenizer;        // for counting; "": estimated
};

struct ChatRequest {
  std::string body;
  Tokens expected;  // prompt tokens counted or estimated; completion tokens at their limit
  Tokens most;      // upper bounds: a token is at least one byte
  int num_cut = 0;  // replies that were cut
};

class ChatRequests {
 public:
  // Error for a setting that makes no sense.
  ChatRequests(ChatOptions options, JudgePrompts prompts);

  const ChatOptions& options() const { return options_; }
  const std::string& model() const { return options_.model; }
  ChatRequest make(const Question& question) const;
  // Whether the body limits the answer's tokens: without that nothing is known about its cost.
  bool limits_answer() const { return completion_tokens_ > 0; }
  std::string how_counted() const;  // "estimated: …" or "counted with FILE"

 private:
  int64_t count_tokens(const std::string& text) const;

  ChatOptions options_;
  JudgePrompts prompts_;
  std::optional<text::Tokenizer> tokenizer_;
  Json body_;  // all but the messages
  int64_t completion_tokens_ = 0;
};

}  // namespace dmoerm::label
