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

TEST(Json, WholeNumbersThatDoNotFitAreNamed) {
  const Json json =
      parse_json(R"({"a": 2147483647, "b": 2147483648, "c": -1, "d": 9223372036854775808})", "f");
  const auto error = [&](auto type, const char* key) -> std::string {
    try {
      json_field<decltype(type)>(json, key, "f");
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(json_field<int32_t>(json, "a", "f"), 2147483647);
  EXPECT_EQ(json_field<int64_t>(json, "b", "f"), 2147483648);
  EXPECT_EQ(json_field<uint64_t>(json, "d", "f"), 9223372036854775808u);
  EXPECT_THAT(
      error(int32_t(), "b"),
      testing::HasSubstr("\"b\" is 2147483648, expected a whole number from -2147483648 to 2147483647"));
  EXPECT_THAT(error(int64_t(), "d"), testing::HasSubstr("\"d\" is 9223372036854775808"));
  EXPECT_THAT(error(uint64_t(), "c"), testing::HasSubstr("\"c\" is -1"));
}

}  // namespace
}  // namespace dmoerm
