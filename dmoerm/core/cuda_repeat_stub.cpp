#include "dmoerm/core/repeated_work.h"

namespace dmoerm {

void RepeatedWork::run() {
  work_();
}

}  // namespace dmoerm
