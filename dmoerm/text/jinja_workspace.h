// What one rendering holds beside values: the objects that it made, and how much work is left to it.
#pragma once

#include <memory>
#include <vector>

#include "dmoerm/text/jinja_value.h"

namespace dmoerm::text::jinja {

class Workspace {
 public:
  // For `bytes` read or made; Error when all of the work is used up.
  void charge(size_t bytes) {
    if (bytes > work_left_) raise("the template does too much work, more than {} bytes' worth", kMaxWork);
    work_left_ -= bytes;
  }
  Value charged(Value value) {
    charge(value.weight());
    return value;
  }

  Value own(std::unique_ptr<Object> object) {
    charge(256);
    objects_.push_back(std::move(object));
    return Value(objects_.back().get());
  }

 private:
  size_t work_left_ = kMaxWork;
  std::vector<std::unique_ptr<Object>> objects_;
};

// Values of `names` from the arguments of `callee`, undefined ones for those not given. Error for more, for
// other names, and when one of the first `required` is not given.
std::vector<Value> bind(const std::string& callee, const Arguments& arguments,
                        const std::vector<std::string>& names, size_t required = 0);
// One of them: Error, naming callee, for a value of another type.
int64_t integer_or(const std::string& callee, const Value& value, int64_t fallback);

}  // namespace dmoerm::text::jinja
