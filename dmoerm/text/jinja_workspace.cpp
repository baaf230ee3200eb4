#include "dmoerm/text/jinja_workspace.h"

#include <algorithm>

namespace dmoerm::text::jinja {

std::vector<Value> bind(const std::string& callee, const Arguments& arguments,
                        const std::vector<std::string>& names, size_t required) {
  if (arguments.positional.size() > names.size())
    raise("{} takes at most {} arguments, found {}", callee, names.size(), arguments.positional.size());
  std::vector<Value> values = arguments.positional;
  std::vector<bool> given(values.size(), true);
  values.resize(names.size(), Value::undefined("an argument is not given"));
  given.resize(names.size());
  for (const auto& [name, value] : arguments.named) {
    const size_t place = std::find(names.begin(), names.end(), name) - names.begin();
    if (place == names.size()) raise("{} has no argument \"{}\"", callee, name);
    if (given[place]) raise("{} gets \"{}\" twice", callee, name);
    values[place] = value;
    given[place] = true;
  }
  for (size_t i = 0; i < required; ++i)
    if (!given[i]) raise("{} needs \"{}\"", callee, names[i]);
  return values;
}

int64_t integer_or(const std::string& callee, const Value& value, int64_t fallback) {
  if (value.is_undefined() || value.is_none()) return fallback;
  if (!value.integer()) raise("{}: found '{}', expected an int", callee, value.type_name());
  return *value.integer();
}

}  // namespace dmoerm::text::jinja
