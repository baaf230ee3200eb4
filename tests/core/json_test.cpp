// JSON that would overflow the stack is refused; brackets inside of strings do not count.
#include "dmoerm/core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dmoerm {
namespace {

TEST(Json, RefusesValuesThatAreTooDeep) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(1000), "test").is_array());
  for (const std::string& text : {nested(1001), nested(2'000'000), std::string(2'000'000, '[')}) {
    try {
      parse_json(text, "test");
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("1000 deep"));
    }
  }
  EXPECT_TRUE(parse_json("[\"\\\"" + std::string(5000, '[') + "\"]", "test").is_array());
}

}  // namespace
}  // namespace dmoerm
