// A judge that asks nothing and counts what asking would cost.
#pragma once

#include "dmoerm/label/chat_request.h"
#include "dmoerm/label/judge.h"
#include "dmoerm/label/spending.h"

namespace dmoerm::label {

class DryRun : public Judge {
 public:
  DryRun(const ChatRequests& requests, const Prices& prices) : requests_(requests), prices_(prices) {}

  std::string name() const override { return requests_.model(); }
  void check_point(const std::string&) const override {}
  void ask(const Question& question, Done done) override {
    const ChatRequest request = requests_.make(question);
    ++num_requests_;
    num_cut_ += request.num_cut;
    expected_ += request.expected;
    done({Choice::Unasked});
  }
  std::string summary() const override {
    std::string text = fmt::format(
        "dry run: {} requests, {} prompt tokens ({}), at most {} completion tokens\n"
        "{} replies would be cut at {} characters\n",
        num_requests_, expected_.prompt, requests_.how_counted(), expected_.completion, num_cut_,
        requests_.options().max_answer_characters);
    if (prices_.prompt + prices_.completion > 0)
      text +=
          fmt::format("cost {:.6f}: {:.6f} for prompts, at most {:.6f} for answers\n", prices_.of(expected_),
                      prices_.of({expected_.prompt, 0}), prices_.of({0, expected_.completion}));
    return text;
  }
  const Tokens& expected() const { return expected_; }
  int64_t num_requests() const { return num_requests_; }

 private:
  ChatRequests requests_;
  Prices prices_;
  Tokens expected_;
  int64_t num_requests_ = 0, num_cut_ = 0;
};

}  // namespace dmoerm::label
