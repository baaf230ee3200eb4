// The levels of the project: a lower one never includes a higher one.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "dmoerm/core/file.h"

namespace dmoerm {
namespace {

using Levels = std::map<std::string, std::set<std::string>>;

// What each level may include beside itself: everything that one of its parents may, and the parents.
Levels allowed_includes() {
  const std::vector<std::pair<std::string, std::set<std::string>>> parents = {
      {"core", {}},
      {"text", {"core"}},
      {"data", {"text"}},
      {"ops", {"data"}},
      {"nn", {"ops"}},
      {"models", {"nn"}},
      {"reward", {"models"}},
      {"metrics", {"reward"}},
      {"train", {"metrics"}},
      {"label", {"data"}},
      {"study", {"train", "label"}},
  };
  Levels allowed;
  for (const auto& [level, above] : parents) {
    allowed[level] = {level};
    for (const std::string& parent : above)
      allowed[level].insert(allowed.at(parent).begin(), allowed.at(parent).end());
  }
  return allowed;
}

// The project's headers that a source includes.
std::vector<std::string> own_includes(const std::string& source) {
  static const std::regex pattern(R"re(^\s*#\s*include\s*["<]((?:dmoerm|apps|tests|bench)/[^">]+)[">])re");
  std::vector<std::string> headers;
  std::istringstream lines(source);
  std::smatch match;
  for (std::string line; std::getline(lines, line);)
    if (std::regex_search(line, match, pattern)) headers.push_back(match[1]);
  return headers;
}

// Why a file of `level` may not include `header`; "" when it may.
std::string objection(const std::string& level, const std::string& header, const Levels& allowed) {
  std::istringstream parts(header);
  std::string root, folder;
  std::getline(parts, root, '/');
  std::getline(parts, folder, '/');
  if (root != "dmoerm") return "includes " + header + ", which is not of the library";
  if (allowed.count(folder) == 0) return "includes " + header + " of an unknown level";
  return allowed.at(level).count(folder) > 0 ? "" : "includes " + header + " of a higher level";
}

TEST(IncludeLevels, LowerNeverIncludesHigher) {
  const Levels allowed = allowed_includes();
  size_t includes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(DMOERM_SOURCE) / "dmoerm")) {
    if (!entry.is_regular_file()) continue;
    const fs::path file = fs::relative(entry.path(), DMOERM_SOURCE);
    const std::string level = std::next(file.begin())->string();
    ASSERT_EQ(allowed.count(level), 1u) << file << " lies in no known level: add it to allowed_includes()";
    for (const std::string& header : own_includes(read_file(entry.path()))) {
      EXPECT_EQ(objection(level, header, allowed), "") << file;
      ++includes;
    }
  }
  EXPECT_GT(includes, 100u);
}

TEST(IncludeLevels, FindsWhatItShould) {
  const Levels allowed = allowed_includes();
  EXPECT_EQ(own_includes("#include <vector>\n #  include \"dmoerm/data/reader.h\"\n// see dmoerm/nn/x.h\n"),
            std::vector<std::string>{"dmoerm/data/reader.h"});
  EXPECT_EQ(objection("data", "dmoerm/core/file.h", allowed), "");
  EXPECT_EQ(objection("study", "dmoerm/label/judge.h", allowed), "");
  EXPECT_NE(objection("core", "dmoerm/data/reader.h", allowed), "");
  EXPECT_NE(objection("train", "dmoerm/label/judge.h", allowed), "");
  EXPECT_NE(objection("data", "apps/dmoerm/commands.h", allowed), "");
  EXPECT_NE(objection("data", "dmoerm/unheard/of.h", allowed), "");
}

TEST(Sources, StayShort) {
  for (const char* root : {"dmoerm", "apps", "tests", "bench", "examples"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(DMOERM_SOURCE) / root)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cpp" && extension != ".h" && extension != ".inc") continue;
      const std::string text = read_file(entry.path());
      EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 500) << entry.path() << " is too long: split it";
    }
  }
}

}  // namespace
}  // namespace dmoerm
