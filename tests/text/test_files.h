// A directory for one test, removed with it.
#pragma once

#include <gmock/gmock.h>
#include <unistd.h>

#include <string>

#include "dmoerm/core/file.h"

namespace dmoerm::text {

class TestDirectory {
 public:
  TestDirectory() {
    std::string name = (fs::temp_directory_path() / "dmoerm_text_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  TestDirectory(const TestDirectory&) = delete;
  ~TestDirectory() { remove_tree(path_); }

  const fs::path& path() const { return path_; }
  fs::path write(const std::string& name, std::string_view content) const {
    write_file_atomically(path_ / name, content);
    return path_ / name;
  }

 private:
  fs::path path_;
};

}  // namespace dmoerm::text
