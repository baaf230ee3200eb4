// A judge says which of two answers is better in respect of one capability point. One interface for judges
// that compute and for judges that are far away and answer many questions at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "dmoerm/core/json.h"
#include "dmoerm/data/preference_record.h"

namespace dmoerm::label {

struct Question {
  const data::PreferenceRecord& record;
  std::string_view point;
  size_t first, second;        // answers of the record in the order in which they are shown
  int64_t vote = 0;            // number of the vote, for judges that draw
  std::string_view task = {};  // the task whose point it is
};

enum class Choice {
  First,
  Second,
  Tie,
  Unparsed,  // final: it answered, but not the question
  Failed,    // final: there was no answer; asked again only when that is wished
  Unasked    // the question stays open; nothing but tokens that were spent on it is to be kept
};

struct Tokens {
  int64_t prompt = 0, completion = 0;
  Tokens& operator+=(const Tokens& other) {
    prompt += other.prompt;
    completion += other.completion;
    return *this;
  }
};

struct Verdict {
  Choice choice = Choice::Failed;
  std::string text = {};  // why there is no choice; empty for a choice
  Tokens tokens = {};     // spent on it, attempts that failed included
  Json raw = {};          // the judge's whole answer, for audit; null for judges that compute
};

class Judge {
 public:
  using Done = std::function<void(const Verdict&)>;

  virtual ~Judge() = default;
  // Stands in every label; labels of one name are taken to come from one judge.
  virtual std::string name() const = 0;
  // Error when the judge cannot judge this point at all.
  virtual void check_point(const std::string& point) const = 0;
  // Whether it is known without asking that the two answers are equal in respect of the point.
  virtual bool tied(const Question&) const { return false; }

  // Calls `done` exactly once, in this thread: before ask() returns, or in a later ask() or finish(). What
  // the question refers to lives until then. Waits while as many questions are open as the judge takes.
  virtual void ask(const Question& question, Done done) = 0;
  // Waits for every open question.
  virtual void finish() {}
  // A question that the store has the answer to.
  virtual void already_answered(const Question&) {}

  virtual std::string progress() const { return ""; }  // a few words for the progress line
  virtual std::string summary() const { return ""; }   // lines for people at the end
};

// A judge that answers at once.
class ComputingJudge : public Judge {
 public:
  virtual Verdict judge(const Question& question) const = 0;
  void ask(const Question& question, Done done) override { done(judge(question)); }
};

}  // namespace dmoerm::label
