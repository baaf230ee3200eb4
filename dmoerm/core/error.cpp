#include "dmoerm/core/error.h"

#include <cstdio>

namespace dmoerm {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: internal error: %s\n", file, line, expression);
  std::abort();
}

}  // namespace dmoerm
