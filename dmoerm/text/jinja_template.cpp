#include "dmoerm/text/jinja_template.h"

#include "dmoerm/text/jinja_interpreter.h"
#include "dmoerm/text/jinja_parser.h"

namespace dmoerm::text::jinja {

Template::Template(std::string_view source) : tree_(parse(source)) {}

std::string Template::render(std::map<std::string, Value> variables) const {
  Interpreter interpreter(std::move(variables));
  try {
    return interpreter.run(*tree_);
  } catch (const TemplateError& error) {
    throw TemplateError(fmt::format("line {}: {}", interpreter.line(), error.what()), error.unsupported());
  }
}

}  // namespace dmoerm::text::jinja
