// Links and folders that the documentation names are there.
#include <gtest/gtest.h>

#include <regex>

#include "dmoerm/core/file.h"

namespace dmoerm {
namespace {

// Targets of Markdown links inside the project.
std::vector<fs::path> links_of(const fs::path& file) {
  static const std::regex link(R"(\]\(([^)#\s]+)\))");
  const std::string text = read_file(file);
  std::vector<fs::path> targets;
  for (std::sregex_iterator match(text.begin(), text.end(), link), end; match != end; ++match) {
    const std::string target = (*match)[1];
    if (target.find("://") == std::string::npos) targets.push_back(file.parent_path() / target);
  }
  return targets;
}

std::vector<fs::path> documents() {
  const fs::path root = DMOERM_SOURCE;
  std::vector<fs::path> files = {root / "README.md", root / "HACKING.md"};
  for (const char* folder : {"docs", "examples"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.path().extension() == ".md") files.push_back(entry.path());
  return files;
}

TEST(Documentation, LinksLeadSomewhere) {
  size_t links = 0;
  for (const fs::path& file : documents()) {
    for (const fs::path& target : links_of(file)) {
      EXPECT_TRUE(fs::exists(target)) << file << " links to " << target;
      ++links;
    }
  }
  EXPECT_GT(links, 10u);
}

TEST(Documentation, HackingHasALineForEveryLevel) {
  const std::string hacking = read_file(fs::path(DMOERM_SOURCE) / "HACKING.md");
  for (const auto& entry : fs::directory_iterator(fs::path(DMOERM_SOURCE) / "dmoerm")) {
    const std::string name = "`dmoerm/" + entry.path().filename().string() + "`";
    EXPECT_NE(hacking.find("| " + name + " |"), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace dmoerm
