// Money: what was spent, what requests in flight may cost at most, and a budget that is never passed.
#pragma once

#include "dmoerm/label/judge.h"

namespace dmoerm::label {

struct Prices {
  double prompt = 0, completion = 0;  // a million tokens
  double of(const Tokens& tokens) const {
    return (prompt * static_cast<double>(tokens.prompt) +
            completion * static_cast<double>(tokens.completion)) /
           1e6;
  }
};

class Spending {
 public:
  // `before`: tokens that earlier runs spent. A budget of 0 is none.
  Spending(const Prices& prices, double budget, const Tokens& before)
      : prices_(prices), budget_(budget), before_(before) {}

  // Whether a request that costs `most` may be sent while the others are in flight.
  bool fits(const Tokens& most) const {
    return budget_ <= 0 || cost_of_all() + in_flight_ + prices_.of(most) <= budget_;
  }
  void send(const Tokens& most) { in_flight_ += prices_.of(most); }
  void receive(const Tokens& most, const Tokens& spent) {
    in_flight_ -= prices_.of(most);
    now_ += spent;
  }

  const Tokens& tokens() const { return now_; }  // of this run
  double cost() const { return prices_.of(now_); }
  double cost_of_all() const { return prices_.of(before_) + cost(); }
  double budget() const { return budget_; }

 private:
  Prices prices_;
  double budget_, in_flight_ = 0;
  Tokens before_, now_;
};

}  // namespace dmoerm::label
