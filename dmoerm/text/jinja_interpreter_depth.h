// How deep an Interpreter is in its own calls.
#pragma once

#include "dmoerm/text/jinja_interpreter.h"

namespace dmoerm::text::jinja {

// Held while a node is run.
class Interpreter::Deeper {
 public:
  explicit Deeper(Interpreter& interpreter) : depth_(interpreter.depth_) {
    if (depth_ >= kMaxDepth) raise("macros and blocks call each other more than {} deep", kMaxDepth);
    interpreter.workspace_.charge(32);
    ++depth_;
  }
  Deeper(const Deeper&) = delete;
  ~Deeper() { --depth_; }

 private:
  int& depth_;
};

}  // namespace dmoerm::text::jinja
