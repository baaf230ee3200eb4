#include "dmoerm/label/http_judge.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

#include "dmoerm/core/error.h"
#include "dmoerm/core/log.h"

namespace dmoerm::label {
namespace {

constexpr double kLongestWait = 1;    // seconds in one poll
constexpr double kWarningEvery = 10;  // seconds

double clock_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

const HttpJudgeOptions& checked(const HttpJudgeOptions& options) {
  const auto not_negative = [](const char* name, double value) {
    if (!std::isfinite(value) || value < 0) fail("label", "{} is {}, expected 0 or more", name, value);
  };
  if (options.concurrency < 1 || options.concurrency > 10000)
    fail("label", "concurrency is {}, expected 1 to 10000", options.concurrency);
  if (options.retry.attempts < 1) fail("label", "attempts is {}, expected 1 or more", options.retry.attempts);
  if (!(options.timeout > 0 && options.timeout <= 1e6))
    fail("label", "the timeout is {}, expected seconds above 0", options.timeout);
  not_negative("the limit of requests a minute", options.requests_per_minute);
  not_negative("the limit of tokens a minute", options.tokens_per_minute);
  not_negative("the price of prompt tokens", options.prices.prompt);
  not_negative("the price of completion tokens", options.prices.completion);
  not_negative("the budget", options.budget);
  if (options.budget > 0 && options.prices.prompt + options.prices.completion == 0)
    fail("label", "a budget needs prices: --price-in and --price-out");
  return options;
}

HttpOptions client_options(const HttpJudgeOptions& options, const ApiKey& key) {
  HttpOptions client;
  client.url = options.endpoint;
  while (client.url.ends_with('/')) client.url.pop_back();
  client.url += "/chat/completions";
  if (!key.empty()) client.headers.push_back(key.header());
  client.timeout = options.timeout;
  client.max_body = options.max_body;
  client.slots = static_cast<size_t>(options.concurrency);
  return client;
}

}  // namespace

HttpJudge::HttpJudge(const ChatRequests& requests, const HttpJudgeOptions& options, ApiKey key,
                     const Tokens& before)
    : requests_(requests),
      options_(checked(options)),
      key_(std::move(key)),
      client_(client_options(options, key_)),
      slots_(static_cast<size_t>(options.concurrency)),
      request_limit_(options.requests_per_minute),
      token_limit_(options.tokens_per_minute),
      spending_(options.prices, options.budget, before),
      random_(static_cast<uint64_t>(std::time(nullptr)), "retry") {
  if (options.budget > 0 && !requests.limits_answer())
    fail("label", "a budget needs a limit of an answer's tokens (max_tokens or max_completion_tokens)");
}

HttpJudge::Slot* HttpJudge::free_slot() {
  const auto slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.open; });
  return slot == slots_.end() ? nullptr : &*slot;
}

bool HttpJudge::any_open() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.open; });
}

void HttpJudge::ask(const Question& question, Done done) {
  while (free_slot() == nullptr) work(true);
  if (over_budget_) {
    done({Choice::Unasked});
    return;
  }
  Slot& slot = *free_slot();
  slot = {};
  slot.request = requests_.make(question);
  slot.done = std::move(done);
  slot.open = true;
  num_cut_ += slot.request.num_cut;
  work(false);
}

void HttpJudge::finish() {
  while (any_open()) work(true);
}

// Sends what may be sent and takes what has come; with `may_wait`, waits for either.
void HttpJudge::work(bool may_wait) {
  const double now = clock_seconds();
  double wait = kLongestWait;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].open || slots_[i].in_flight) continue;
    const double until = wait_to_send(slots_[i], now);
    if (until <= 0)
      send(i, now);
    else
      wait = std::min(wait, until);
  }
  if (client_.in_flight() == 0) stop_at_budget();
  client_.poll(may_wait && any_open() ? wait : 0,
               [&](size_t number, HttpResponse& response) { receive(number, response); });
  stop_if_refused();
}

double HttpJudge::wait_to_send(const Slot& slot, double now) {
  if (!spending_.fits(slot.request.most)) return kLongestWait;  // until what is in flight has been paid
  return std::max({slot.ready - now, request_limit_.wait(now), token_limit_.wait(now)});
}

void HttpJudge::send(size_t number, double now) {
  Slot& slot = slots_[number];
  request_limit_.take(now, 1);
  token_limit_.take(now,
                    static_cast<double>(slot.request.expected.prompt + slot.request.expected.completion));
  spending_.send(slot.request.most);
  slot.in_flight = true;
  ++num_sent_;
  num_sent_again_ += slot.failures > 0;
  client_.start(number, slot.request.body);
}

void HttpJudge::receive(size_t number, HttpResponse& response) {
  Slot& slot = slots_[number];
  slot.in_flight = false;
  ChatAnswer answer = read_chat_answer(std::move(response), key_, std::time(nullptr), key_works_);
  key_works_ |= answer.kind == ChatAnswer::Kind::Final && answer.verdict.choice != Choice::Failed;
  const Tokens spent = answer.counted       ? answer.verdict.tokens
                       : answer.may_be_paid ? slot.request.most
                                            : Tokens{};
  slot.tokens += spent;
  spending_.receive(slot.request.most, spent);
  switch (answer.kind) {
    case ChatAnswer::Kind::Final:
      return close(slot, std::move(answer.verdict));
    case ChatAnswer::Kind::Retry:
      return try_again(slot, answer);
    case ChatAnswer::Kind::Stop:
      refused_ = answer.verdict.text;
  }
}

void HttpJudge::try_again(Slot& slot, const ChatAnswer& answer) {
  ++slot.failures;
  if (slot.failures >= options_.retry.attempts) {
    close(slot,
          {Choice::Failed, fmt::format("{} attempts, the last: {}", slot.failures, answer.verdict.text)});
    return;
  }
  const double delay = retry_delay(options_.retry, slot.failures, answer.retry_after, random_);
  const double now = clock_seconds();
  slot.ready = now + delay;
  if (now - last_warning_ < kWarningEvery) return;
  last_warning_ = now;
  log().warn("attempt {} of a request failed ({}): again in {:.1f} s", slot.failures, answer.verdict.text,
             delay);
}

// The slot takes no other question before its verdict has been kept.
void HttpJudge::close(Slot& slot, Verdict verdict) {
  verdict.tokens = slot.tokens;
  slot.done(verdict);
  slot.open = false;
  slot.done = nullptr;
}

// The verdicts hold what attempts have cost, for the store to count.
void HttpJudge::close_unasked() {
  for (Slot& slot : slots_)
    if (slot.open) close(slot, {Choice::Unasked});
}

// With nothing in flight, a request that does not fit now never will.
void HttpJudge::stop_at_budget() {
  for (const Slot& slot : slots_) over_budget_ |= slot.open && !spending_.fits(slot.request.most);
  if (over_budget_) close_unasked();
}

void HttpJudge::stop_if_refused() {
  if (refused_.empty()) return;
  const std::string reason = refused_;
  while (client_.in_flight() > 0)
    client_.poll(kLongestWait, [&](size_t number, HttpResponse& response) { receive(number, response); });
  close_unasked();
  fail("label", "{}", reason);
}

std::string HttpJudge::progress() const {
  return options_.prices.prompt + options_.prices.completion > 0
             ? fmt::format("cost {:.4f}", spending_.cost_of_all())
             : "";
}

std::string HttpJudge::summary() const {
  std::string text =
      fmt::format("{} requests, {} of them sent again; {} prompt and {} completion tokens\n", num_sent_,
                  num_sent_again_, spending_.tokens().prompt, spending_.tokens().completion);
  if (num_cut_ > 0)
    text += fmt::format("{} replies were cut at {} characters\n", num_cut_,
                        requests_.options().max_answer_characters);
  if (options_.prices.prompt + options_.prices.completion > 0)
    text += fmt::format("cost {:.6f}, with earlier runs {:.6f}\n", spending_.cost(), spending_.cost_of_all());
  if (over_budget_)
    text += fmt::format("stopped at the budget of {}: a request more could pass it\n", spending_.budget());
  return text;
}

}  // namespace dmoerm::label
