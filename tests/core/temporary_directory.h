// A directory of its own for each test.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include "dmoerm/core/file.h"

namespace dmoerm {

class TemporaryDirectoryTest : public ::testing::Test {
 protected:
  TemporaryDirectoryTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::temp_directory_path() /
                 (std::string("dmoerm-") + test->test_suite_name() + test->name() + std::to_string(getpid()));
    remove_tree(directory_);
    fs::create_directories(directory_);
  }
  ~TemporaryDirectoryTest() override { remove_tree(directory_); }
  fs::path directory_;
};

// The message of the Error that `action` throws; "" when it throws none.
template <typename Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace dmoerm
