// Damaged templates: whatever they hold, the interpreter ends with a text or a TemplateError. A fixed seed,
// so that a failure comes again; DMOERM_FUZZ_SECONDS runs it for longer, over other seeds.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>

#include "dmoerm/core/file.h"
#include "dmoerm/text/jinja_template.h"
#include "tests/text/chat_template_styles.h"
#include "tests/text/jinja_json.h"

namespace dmoerm::text::jinja {
namespace {

constexpr const char* kParts[] = {
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{%-",
    "-%}",
    "{{-",
    "-}}",
    "{% if ",
    "{% else %}",
    "{% endif %}",
    "{% for x in ",
    "{% endfor %}",
    "{% set x = ",
    "{% macro m(a, b=1) %}",
    "{% endmacro %}",
    "m(m, b=x)",
    "namespace(x=1)",
    "{% set ns.x = ",
    "range(9)",
    "loop.",
    "|",
    " is ",
    " not ",
    " in ",
    " and ",
    " or ",
    " if ",
    " else ",
    "[::-1]",
    "[1:]",
    "[-1]",
    "messages",
    ".content",
    "['role']",
    "|length",
    "|tojson(indent=2)",
    "|list",
    "|join(',')",
    "|map('upper')",
    "|selectattr('role', 'eq', 'user')",
    "|default(x, true)",
    "|int",
    "|sort",
    "|replace('a', 'bb')",
    "|indent(3)",
    "|unique",
    ".split('a')",
    ".strip()",
    ".items()",
    ".get('role')",
    " ** ",
    " // ",
    " % ",
    " ~ ",
    "'a'",
    "\"\\x41\"",
    "1.5e3",
    "9223372036854775807",
    "none",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "{% break %}",
    "{% raw %}",
    "{% endraw %}",
    "{% filter upper %}",
    "{% endfilter %}",
    "{% call m(1) %}",
    "{% endcall %}",
    "\xff",
    "\xc3\xa9",
};

class Mutator {
 public:
  Mutator(std::vector<std::string> sources, uint64_t seed) : sources_(std::move(sources)), random_(seed) {}

  std::string next() {
    std::string text = sources_[below(sources_.size())];
    for (size_t i = below(6) + 1; i > 0; --i) mutate(text);
    return text;
  }

 private:
  size_t below(size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random_); }

  void mutate(std::string& text) {
    const size_t begin = below(text.size() + 1),
                 length = below(std::min<size_t>(text.size() - begin, 40) + 1);
    const std::string part = text.substr(begin, length);
    const std::string& other = sources_[below(sources_.size())];
    switch (below(6)) {
      case 0:
        text.erase(begin, length);
        break;
      case 1:
        text.insert(below(text.size() + 1), part);
        break;
      case 2:
        text.insert(begin, 1, static_cast<char>(below(256)));
        break;
      case 3:
        text.replace(begin, length, other.substr(below(other.size() + 1), 40));
        break;
      default:
        text.insert(begin, kParts[below(std::size(kParts))]);
    }
  }

  std::vector<std::string> sources_;
  std::mt19937_64 random_;
};

TEST(JinjaFuzz, DamagedTemplatesEndWithATextOrAnError) {
  const auto reference = nlohmann::ordered_json::parse(read_file(DMOERM_TEST_DATA "/jinja_cases.json"));
  auto variables = variables_of(reference["context"]);
  variables["messages"] = variables["msgs"];
  variables["add_generation_prompt"] = true;
  std::vector<std::string> sources = {styles::kQwen25,  styles::kQwen3, styles::kLlama31,
                                      styles::kMistral, styles::kGemma, styles::kZephyr};
  for (const auto& item : reference["cases"]) sources.push_back(item["template"]);

  const char* given = std::getenv("DMOERM_FUZZ_SECONDS");
  const double seconds = given ? std::atof(given) : 0;
  const auto begin = std::chrono::steady_clock::now();
  size_t texts = 0, errors = 0;
  for (uint64_t seed = 1;; ++seed) {
    Mutator mutator(sources, seed);
    for (int i = 0; i < 3000; ++i) {
      const std::string source = mutator.next();
      try {
        Template(source).render(variables);
        ++texts;
      } catch (const TemplateError&) {
        ++errors;
      }
    }
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() >= seconds) break;
  }
  RecordProperty("texts", static_cast<int>(texts));
  RecordProperty("errors", static_cast<int>(errors));
  EXPECT_GT(texts, 300u);  // else nothing but the parser's refusals was tried
  EXPECT_GT(errors, 300u);
}

}  // namespace
}  // namespace dmoerm::text::jinja
