// Random damage to a file's bytes.
#pragma once

#include <string>
#include <vector>

#include "dmoerm/core/random.h"

namespace dmoerm::fuzz {

// One to four changes: bits, bytes, numbers, cuts, parts repeated, moved or taken from `others`; in JSON most
// of the time values that are replaced, removed or put elsewhere, so that it stays JSON.
std::string mutate(std::string bytes, const std::vector<std::string>& others, RandomStream& random);

}  // namespace dmoerm::fuzz
