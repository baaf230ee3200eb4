// The Jinja interpreter against what Python's Jinja2 gives, its errors and its limits.
#include "dmoerm/text/jinja_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dmoerm/core/file.h"
#include "tests/text/jinja_json.h"

namespace dmoerm::text::jinja {
namespace {

using testing::HasSubstr;

std::string render(const std::string& source, std::map<std::string, Value> variables = {}) {
  return Template(source).render(std::move(variables));
}

std::string error_of(const std::string& source) {
  try {
    return "no error: " + render(source);
  } catch (const TemplateError& error) {
    return error.what();
  }
}

// Rendered by Jinja2 as transformers sets it up (sandbox, trim_blocks, lstrip_blocks, loopcontrols, tojson).
TEST(Jinja, EqualsTheReference) {
  const auto reference = nlohmann::ordered_json::parse(read_file(DMOERM_TEST_DATA "/jinja_cases.json"));
  const auto variables = variables_of(reference["context"]);
  ASSERT_GT(reference["cases"].size(), 500u);
  for (const auto& item : reference["cases"]) {
    const auto source = item["template"].get<std::string>();
    if (item.contains("error")) {
      EXPECT_THROW(render(source, variables), TemplateError) << source;
      continue;
    }
    try {
      EXPECT_EQ(render(source, variables), item["text"].get<std::string>()) << source;
    } catch (const TemplateError& error) {
      ADD_FAILURE() << source << ": " << error.what();
    }
  }
}

TEST(Jinja, ErrorsNameLineAndCause) {
  EXPECT_EQ(error_of("a\n{{ x.y }}"), "line 2: 'x' is undefined");
  EXPECT_EQ(error_of("{{ nope(1) }}"), "line 1: the function \"nope\"");
  EXPECT_EQ(error_of("{{ 1 | nope }}"), "line 1: the filter \"nope\"");
  EXPECT_EQ(error_of("{{ 1 is nope }}"), "line 1: the test \"nope\"");
  EXPECT_EQ(error_of("{{ 'a'.nope() }}"), "line 1: the method \"nope\" of 'str'");
  EXPECT_EQ(error_of("{{ [].append(1) }}"), "line 1: the method \"append\" of 'list'");
  EXPECT_EQ(error_of("\n\n{% nope %}"), "line 3: the tag \"nope\"");
  EXPECT_EQ(error_of("{% for x in y recursive %}{% endfor %}"), "line 1: a recursive loop");
  EXPECT_EQ(error_of("{% if a %}\n\n"), "line 1: a block begins here and has no end, expected {% endif %}");
  EXPECT_EQ(error_of("{% endif %}"), "line 1: \"endif\" closes nothing here");
  EXPECT_EQ(error_of("a\n{{ (1 }}"), "line 2: unexpected '}', expected ')'");
  EXPECT_EQ(error_of("{{ 'x }}"), "line 1: a string has no end, expected '");
  EXPECT_EQ(error_of("{# x"), "line 1: a comment has no end, expected \"#}\"");
  EXPECT_EQ(error_of("{{ raise_exception('no ' ~ 'way') }}"),
            "line 1: the template refuses these messages: no way");
  EXPECT_EQ(error_of("{{ 'a' + 1 }}"), "line 1: unsupported operand types for +: 'str' and 'int'");
}

// What is not supported does no harm where it is not reached.
TEST(Jinja, BranchesThatAreNotTakenMayHoldAnything) {
  EXPECT_EQ(render("{% if false %}{{ nope(1) | nope }}{{ ''.nope() is nope }}{% endif %}x"), "x");
}

TEST(Jinja, KnowsOneDayOnly) {
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y, %A %H:%M') }}{{ strftime_now('') }}"),
            "26 Jul 2024, Friday 00:00");
  EXPECT_THAT(error_of("{{ strftime_now('%99999d') }}"), HasSubstr("gives no text"));
}

TEST(Jinja, SourceIsLimited) {
  EXPECT_THAT(error_of(std::string(kMaxSource + 1, 'x')), HasSubstr("expected at most 1048576"));
  EXPECT_EQ(render(std::string(kMaxSource, 'x')).size(), kMaxSource);
  const auto nested = [](size_t depth, const std::string& open, const std::string& close) {
    std::string text = "{{ ";
    for (size_t i = 0; i < depth; ++i) text += open;
    text += "1";
    for (size_t i = 0; i < depth; ++i) text += close;
    return text + " }}";
  };
  const auto too_deep = HasSubstr("nested more than 200 deep");
  for (const auto& [open, close] : {std::pair("(", ")"),
                                    {"[", "]"},
                                    {"not ", ""},
                                    {"- ", ""},
                                    {"", "+1"},
                                    {"", "|abs"},
                                    {"", "[0]"},
                                    {"", " if 1"},
                                    {"f(", ")"},
                                    {"1 if 1 else ", ""},
                                    {"{1:", "}"}}) {
    EXPECT_THAT(error_of(nested(100000, open, close)), too_deep) << open << close;
    EXPECT_THAT(error_of(nested(50, open, close)), testing::Not(too_deep)) << open << close;
  }
  std::string blocks;
  for (int i = 0; i < 10000; ++i) blocks += "{% if 1 %}";
  EXPECT_THAT(error_of(blocks), too_deep);
}

TEST(Jinja, RunsAreLimited) {
  const auto too_much = HasSubstr("too much work");
  EXPECT_THAT(error_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), HasSubstr("more than 600 deep"));
  EXPECT_THAT(error_of("{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}"),
              HasSubstr("more than 600 deep"));
  EXPECT_THAT(error_of("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"),
              too_much);
  EXPECT_THAT(error_of("{{ range(100001) }}"), HasSubstr("more than 100000 numbers"));
  EXPECT_THAT(error_of("{{ 'x' * 99999999999 }}"), HasSubstr("grows beyond"));
  EXPECT_THAT(error_of("{{ [1] * 99999999 }}"), HasSubstr("grows beyond"));
  EXPECT_THAT(
      error_of("{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}"),
      HasSubstr("grows beyond"));
  EXPECT_THAT(
      error_of(
          "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}"),
      HasSubstr("grows beyond"));
  EXPECT_THAT(
      error_of("{% set n = namespace(x=[]) %}{% for i in range(999) %}{% set n.x = [n.x] %}{% endfor %}"),
      HasSubstr("more than 100 deep"));
  EXPECT_THAT(error_of("{% set x = 'x' * 9000000 %}{{ x }}{{ x }}"), HasSubstr("grows beyond"));
  EXPECT_THAT(error_of("{{ ('x' * 9000)|replace('x', 'y' * 9000) }}"), HasSubstr("grows beyond"));
  EXPECT_THAT(error_of("{{ ('x' * 90000)|list|join('y' * 9000) }}"), HasSubstr("grows beyond"));
  EXPECT_THAT(error_of("{% set x = 'x' * 9000000 %}{% for i in range(9999) %}{% if x == x ~ 'y' %}{% endif "
                       "%}{% endfor %}"),
              too_much);
  EXPECT_THAT(error_of("{{ '%9999d' % 1 }}"), HasSubstr("a width above 1000"));
  EXPECT_THAT(error_of("{{ 'x'|indent(99999) }}"), HasSubstr("at most 1000"));
  EXPECT_THAT(error_of("{{ [[]]|tojson(indent=99999) }}"), HasSubstr("at most 100"));
}

TEST(Jinja, ObjectsMayHoldThemselves) {
  EXPECT_EQ(
      render("{% set n = namespace() %}{% set n.n = n %}{% set n.l = [n] %}{{ n.n.n.l[0] == n }}{{ n.l }}"),
      "True[<Namespace>]");
  EXPECT_EQ(render("{% macro m() %}{% endmacro %}{% set n = namespace(m=m) %}{{ n.m() }}{{ n.m.name }}"),
            "m");
}

TEST(Jinja, NumbersStayInRange) {
  EXPECT_EQ(render("{{ 9223372036854775807 }}{{ -9223372036854775807 - 1 }}"),
            "9223372036854775807-9223372036854775808");
  for (const char* source :
       {"{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ 2 ** 63 }}",
        "{{ 9223372036854775807 * 2 }}", "{{ (-9223372036854775807 - 1) // -1 }}",
        "{{ -(-9223372036854775807 - 1) }}", "{{ (-9223372036854775807 - 1)|abs }}"})
    EXPECT_THAT(error_of(source), HasSubstr("grows too large")) << source;
  EXPECT_THAT(error_of("{{ 9223372036854775808 }}"), HasSubstr("out of range"));
}

TEST(Jinja, InvalidUtf8StaysAsItIs) {
  const std::map<std::string, Value> variables = {{"x", Value("a\xff\xe4 b")}};
  EXPECT_EQ(render("{{ x }}{{ x[0] }}{{ x | trim }}{{ x.strip('b') }}", variables),
            "a\xff\xe4 ba"
            "a\xff\xe4 b"
            "a\xff\xe4 ");
  EXPECT_NO_THROW(
      render("{{ x|upper }}{{ [x] }}{{ x|tojson }}{{ x|list }}{{ x[::-1] }}{{ x|length }}", variables));
}

}  // namespace
}  // namespace dmoerm::text::jinja
