#include "dmoerm/label/chat_request.h"

#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::label {
namespace {

// What a chat format adds to a message: its role and the tokens around it.
constexpr int64_t kTokensAroundMessage = 4, kMostTokensAroundMessage = 16;

// A token holds about four characters of English, and one of Chinese.
int64_t estimated_tokens(std::string_view text) {
  int64_t ascii = 0, others = 0;
  for (size_t at = 0; at < text.size();) ++(text::next_character(text, at) < 0x80 ? ascii : others);
  return (ascii + 3) / 4 + others;
}

int64_t answer_limit(const Json& body) {
  for (const char* key : {"max_completion_tokens", "max_tokens"})
    if (const auto limit = body.find(key); limit != body.end() && limit->is_number_integer())
      return limit->get<int64_t>();
  return 0;
}

}  // namespace

ChatRequests::ChatRequests(ChatOptions options, JudgePrompts prompts)
    : options_(std::move(options)), prompts_(std::move(prompts)) {
  if (options_.model.empty()) fail("label", "the model is not named: give --model");
  if (options_.max_tokens < 1) fail("label", "max_tokens is {}, expected 1 or more", options_.max_tokens);
  if (options_.max_answer_characters < 0)
    fail("label", "max_answer_characters is {}, expected 0 or more", options_.max_answer_characters);
  if (!std::isfinite(options_.temperature) || options_.temperature < 0)
    fail("label", "the temperature is {}, expected 0 or more", options_.temperature);
  if (!options_.extra_body.is_object())
    fail("label", "the extra body is {}, expected an object", json_kind(options_.extra_body));
  if (options_.system.empty()) options_.system = prompts_.system();
  if (!options_.tokenizer.empty()) tokenizer_ = text::Tokenizer::load(options_.tokenizer);
  body_ = {
      {"model", options_.model}, {"temperature", options_.temperature}, {"max_tokens", options_.max_tokens}};
  body_.merge_patch(options_.extra_body);
  for (const char* ours : {"messages", "stream", "n"})
    if (body_.contains(ours)) fail("label", "the extra body may not hold \"{}\"", ours);
  completion_tokens_ = answer_limit(body_);
}

std::string ChatRequests::how_counted() const {
  return tokenizer_ ? "counted with " + options_.tokenizer.string()
                    : "estimated: four ASCII characters or one other character a token";
}

int64_t ChatRequests::count_tokens(const std::string& text) const {
  return kTokensAroundMessage + (tokenizer_ ? std::ssize(tokenizer_->encode(text)) : estimated_tokens(text));
}

ChatRequest ChatRequests::make(const Question& question) const {
  JudgePrompts::Message message = prompts_.render(question, options_.max_answer_characters);
  ChatRequest request;
  request.num_cut = message.num_cut;
  request.expected.completion = request.most.completion = completion_tokens_;
  Json body = body_;
  Json& messages = body["messages"] = Json::array();
  const auto add = [&](const char* role, const std::string& text) {
    messages.push_back({{"role", role}, {"content", text}});
    request.expected.prompt += count_tokens(text);
    request.most.prompt += std::ssize(text) + kMostTokensAroundMessage;
  };
  if (!options_.system.empty()) add("system", options_.system);
  add("user", message.text);
  request.body = dump_json(body);
  return request;
}

}  // namespace dmoerm::label
