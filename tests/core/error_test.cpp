// Errors: one line, whatever they quote.
#include "dmoerm/core/error.h"

#include <gtest/gtest.h>

namespace dmoerm {
namespace {

std::string message_of(const std::string& quoted) {
  try {
    fail("part", "found \"{}\"", quoted);
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Error, ShowsControlCharactersOfWhatItQuotes) {
  EXPECT_EQ(message_of("a\nb\tc\rd\x1b[2Je\x7f"), "[part] found \"a\\nb\\tc\\x0dd\\x1b[2Je\\x7f\"");
}

TEST(Error, LeavesOtherTextAlone) {
  EXPECT_EQ(message_of("größer 模型 \\n"), "[part] found \"größer 模型 \\n\"");
}

}  // namespace
}  // namespace dmoerm
