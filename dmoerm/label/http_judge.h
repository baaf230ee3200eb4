// A language model behind an OpenAI-compatible API as a judge: many requests in flight, failed ones sent
// again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dmoerm/label/api_key.h"
#include "dmoerm/label/chat_answer.h"
#include "dmoerm/label/chat_request.h"
#include "dmoerm/label/http_client.h"
#include "dmoerm/label/rate_limit.h"
#include "dmoerm/label/retry.h"
#include "dmoerm/label/spending.h"

namespace dmoerm::label {

struct HttpJudgeOptions {
  std::string endpoint;       // the API's base: /chat/completions is added
  int64_t concurrency = 16;   // requests in flight
  double timeout = 120;       // seconds a request
  size_t max_body = 8 << 20;  // bytes of an answer; a longer one counts as broken
  RetryOptions retry;
  double requests_per_minute = 0, tokens_per_minute = 0;  // 0: no limit
  Prices prices;
  double budget = 0;  // over all runs on the store; 0: none
};

// An open question holds its slot until its verdict is final, waits between attempts included. The run stops
// with an Error, once what is in flight has been answered, when no request can succeed (a refused key).
class HttpJudge : public Judge {
 public:
  // `before`: tokens spent by earlier runs, for the budget.
  HttpJudge(const ChatRequests& requests, const HttpJudgeOptions& options, ApiKey key,
            const Tokens& before = {});

  std::string name() const override { return requests_.model(); }
  void check_point(const std::string&) const override {}
  void ask(const Question& question, Done done) override;
  void finish() override;
  std::string progress() const override;
  std::string summary() const override;

 private:
  struct Slot {
    ChatRequest request;
    Done done;
    bool open = false, in_flight = false;
    int64_t failures = 0;
    double ready = 0;  // when it may be sent
    Tokens tokens;     // that attempts have cost so far
  };

  void work(bool may_wait);
  double wait_to_send(const Slot& slot, double now);
  void send(size_t number, double now);
  void receive(size_t number, HttpResponse& response);
  void try_again(Slot& slot, const ChatAnswer& answer);
  void close(Slot& slot, Verdict verdict);
  void close_unasked();
  void stop_at_budget();
  void stop_if_refused();
  Slot* free_slot();
  bool any_open() const;

  ChatRequests requests_;
  HttpJudgeOptions options_;
  ApiKey key_;
  HttpClient client_;
  std::vector<Slot> slots_;
  TokenBucket request_limit_, token_limit_;
  Spending spending_;
  RandomStream random_;
  bool over_budget_ = false;
  bool key_works_ = false;  // a request has succeeded
  std::string refused_;     // why the run must stop
  double last_warning_ = -1e9;
  int64_t num_sent_ = 0, num_sent_again_ = 0, num_cut_ = 0;
};

}  // namespace dmoerm::label
