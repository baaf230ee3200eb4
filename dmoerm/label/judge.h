// A judge says which of two answers is better in respect of one capability point.
#pragma once

#include <string>
#include <string_view>

#include "dmoerm/data/preference_record.h"

namespace dmoerm::label {

struct Question {
  const data::PreferenceRecord& record;
  std::string_view point;
  size_t first, second;  // answers of the record in the order in which they are shown
  int64_t vote = 0;      // number of the vote, for judges that draw
};

enum class Choice { First, Second, Tie, Unparsed, Failed };

struct Verdict {
  Choice choice = Choice::Failed;
  std::string text;  // what the judge said, or why it failed; empty for judges that compute
};

class Judge {
 public:
  virtual ~Judge() = default;
  // Stands in every label; labels of one name are taken to come from one judge.
  virtual std::string name() const = 0;
  // Error when the judge cannot judge this point at all.
  virtual void check_point(const std::string& point) const = 0;
  virtual Verdict judge(const Question& question) const = 0;
  // Whether it is known without asking that the two answers are equal in respect of the point.
  virtual bool tied(const Question&) const { return false; }
};

}  // namespace dmoerm::label
