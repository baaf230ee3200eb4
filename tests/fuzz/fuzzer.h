// The loop that the fuzz programs share: damage files at random, use them, and expect a clear error or none.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "dmoerm/core/file.h"
#include "dmoerm/core/random.h"

namespace dmoerm::fuzz {

inline const fs::path kFixtures = DMOERM_TEST_DATA;

using Directory = std::map<std::string, std::string>;  // file name -> content

struct Target {
  std::vector<Directory> starting_points;
  std::function<void(Directory& files, RandomStream& random)> damage;
  std::function<void(const fs::path& directory)> use;
};

// [--seconds N] [--seed S]. A finding is a crash, an exception that is no Error, an error of several lines, a
// case that takes long or much memory; its files are kept and named. Returns the program's exit status: 1
// after a finding, and when all cases or none were refused.
int fuzz(const Target& target, int argc, char** argv);

}  // namespace dmoerm::fuzz
