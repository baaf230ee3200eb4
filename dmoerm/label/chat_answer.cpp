#include "dmoerm/label/chat_answer.h"

#include <algorithm>

#include "dmoerm/core/error.h"
#include "dmoerm/label/retry.h"
#include "dmoerm/label/verdict_text.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::label {
namespace {

constexpr size_t kShownBytes = 200;

// {"error": {"message": …}} or {"error": "…"}, as most servers write it; else the body itself.
std::string error_text(const Json& json, const std::string& body) {
  if (json.is_object()) {
    const auto error = json.find("error");
    if (error != json.end() && error->is_string()) return one_line(error->get<std::string>());
    if (error != json.end() && error->is_object() && error->contains("message") &&
        (*error)["message"].is_string())
      return one_line((*error)["message"].get<std::string>());
  }
  return one_line(body);
}

bool has_choices(const Json& json) {
  const auto choices = json.is_object() ? json.find("choices") : json.end();
  return json.is_object() && choices != json.end() && choices->is_array() && !choices->empty();
}

// choices[0].message.content: text, or a list of parts of which the texts are joined. An unparsed verdict
// when it is not there.
Verdict read_content(const Json& json) {
  const auto unparsed = [](std::string why) { return Verdict{Choice::Unparsed, std::move(why)}; };
  const auto at = [](const Json& object, const char* key) -> const Json& {
    static const Json none;
    return object.is_object() && object.contains(key) ? object[key] : none;
  };
  if (!has_choices(json)) return unparsed("the answer has no \"choices\"");
  const Json& choices = json["choices"];
  const Json& message = at(choices[0], "message");
  const Json& content = at(message, "content");
  std::string text;
  if (content.is_string())
    text = content.get<std::string>();
  else if (content.is_array())
    for (const Json& part : content)
      if (at(part, "text").is_string()) text += part["text"].get<std::string>();
  if (text.empty() && at(message, "refusal").is_string())
    return unparsed("the judge refused: " + one_line(message["refusal"].get<std::string>()));
  if (text.empty() && !content.is_string() && !content.is_array())
    return unparsed("the answer has no choices[0].message.content");
  const bool is_cut = at(choices[0], "finish_reason") == "length";
  Verdict verdict = parse_verdict(text, is_cut);
  if (verdict.choice == Choice::Unparsed && is_cut) verdict.text += "; it was cut at the limit of tokens";
  return verdict;
}

void read_usage(const Json& json, ChatAnswer& answer) {
  const auto usage = json.is_object() ? json.find("usage") : json.end();
  if (!json.is_object() || usage == json.end() || !usage->is_object()) return;
  const auto count = [&](const char* key) {
    const auto found = usage->find(key);
    return found != usage->end() && found->is_number_integer() ? std::max<int64_t>(0, found->get<int64_t>())
                                                               : -1;
  };
  const int64_t prompt = count("prompt_tokens"), completion = count("completion_tokens");
  if (prompt < 0 || completion < 0) return;
  answer.verdict.tokens = {prompt, completion};
  answer.counted = true;
}

// Nothing for what is no JSON, or lies too deep.
std::optional<Json> read_json(const std::string& body, const ApiKey& key) {
  try {
    return key.redacted_json(parse_json(body, "answer"));
  } catch (const Error&) {
    return std::nullopt;
  }
}

ChatAnswer failed(ChatAnswer::Kind kind, std::string why) {
  ChatAnswer answer;
  answer.kind = kind;
  answer.verdict = {Choice::Failed, std::move(why)};
  return answer;
}

// `status` is the server's, or one that a 200 names in its error.
ChatAnswer read_error_status(long status, const HttpResponse& response, const Json& json, std::time_t now,
                             bool key_works) {
  using Kind = ChatAnswer::Kind;
  const std::string text = fmt::format("HTTP {}: {}", status, error_text(json, response.body));
  // Gateways answer 403 for text that their moderation flags too.
  if (status == 403 && key_works) return failed(Kind::Final, text);
  if (status == 401 || status == 403) return failed(Kind::Stop, "the server refuses the key: " + text);
  if (status == 402 || (status == 429 && response.body.find("insufficient_quota") != std::string::npos))
    return failed(Kind::Stop, "the account has no money left: " + text);
  if (status >= 300 && status < 400)
    return failed(Kind::Stop,
                  fmt::format("HTTP {}: the endpoint has moved to \"{}\"; redirects are not followed", status,
                              one_line(response.location)));
  if (status == 404 || status == 405)
    return failed(Kind::Stop, "the endpoint or the model is not there: " + text);
  if (status != 408 && status != 429 && status < 500) return failed(Kind::Final, text);
  ChatAnswer answer = failed(Kind::Retry, text);
  answer.retry_after = parse_retry_after(response.retry_after, now);
  return answer;
}

// A gateway has promised 200 before the model behind it failed: {"error": {"code", "message"}} is all there
// is.
ChatAnswer read_error_body(const HttpResponse& response, const Json& json, std::time_t now, bool key_works) {
  const auto code = json["error"].find("code");
  const int64_t status = code != json["error"].end() && code->is_number_integer() ? code->get<int64_t>() : 0;
  ChatAnswer answer =
      status >= 400 && status < 600
          ? read_error_status(status, response, json, now, key_works)
          : failed(ChatAnswer::Kind::Retry, "HTTP 200, but an error: " + error_text(json, response.body));
  answer.may_be_paid = answer.kind == ChatAnswer::Kind::Retry;
  return answer;
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string line(text.substr(0, kShownBytes));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return text::repair_utf8(line);
}

ChatAnswer read_chat_answer(HttpResponse response, const ApiKey& key, std::time_t now, bool key_works) {
  using Kind = ChatAnswer::Kind;
  for (std::string* text : {&response.body, &response.error, &response.location}) *text = key.redacted(*text);
  const bool success = response.status >= 200 && response.status < 300;
  if (response.fatal) return failed(Kind::Stop, "no connection: " + response.error);
  if (!response.error.empty() && response.status < 300) {
    ChatAnswer answer =
        failed(Kind::Retry, response.timed_out ? "timeout: " + response.error : response.error);
    answer.may_be_paid = response.sent;
    return answer;
  }
  const std::optional<Json> json = read_json(response.body, key);
  if (!success) return read_error_status(response.status, response, json.value_or(nullptr), now, key_works);
  if (!json) {
    ChatAnswer answer = failed(Kind::Retry, "the answer is no JSON: " + one_line(response.body));
    answer.may_be_paid = true;
    return answer;
  }
  if (!has_choices(*json) && json->is_object() && json->contains("error") && (*json)["error"].is_object())
    return read_error_body(response, *json, now, key_works);
  ChatAnswer answer;
  answer.verdict = read_content(*json);
  answer.verdict.raw = *json;
  answer.may_be_paid = true;
  read_usage(*json, answer);
  return answer;
}

}  // namespace dmoerm::label
