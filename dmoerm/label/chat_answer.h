// What an API answered to a chat completion, and what is to be done about it.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "dmoerm/label/api_key.h"
#include "dmoerm/label/http_client.h"
#include "dmoerm/label/judge.h"

namespace dmoerm::label {

struct ChatAnswer {
  enum class Kind {
    Final,  // the verdict stands
    Retry,  // 408, 429, 5xx, a broken body, no connection, a timeout
    Stop    // no request can succeed: 401, 402, 403 before any success, 404, 405, a redirect, no quota, a bad
            // address or certificate
  };
  Kind kind = Kind::Final;
  Verdict verdict;                    // its text says what was wrong; Failed for Retry and Stop
  std::optional<double> retry_after;  // seconds
  bool counted = false;               // the verdict's tokens are the server's own count
  bool may_be_paid = false;           // there is no count, but the server may have worked
};

// The beginning of a text that a server wrote, on one line and as valid UTF-8.
std::string one_line(std::string_view text);

// A 200 whose body is no JSON, or an error in place of "choices", is broken; other JSON without a verdict is
// Unparsed. No text holds the key. `key_works`: an earlier request has succeeded, so a 403 is about this one.
ChatAnswer read_chat_answer(HttpResponse response, const ApiKey& key, std::time_t now,
                            bool key_works = false);

}  // namespace dmoerm::label
