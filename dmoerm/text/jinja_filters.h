// Filters and tests by name, as in Jinja.
#pragma once

#include <map>
#include <string>

#include "dmoerm/text/jinja_workspace.h"

namespace dmoerm::text::jinja {

// input | name(arguments), and input is name(arguments). TemplateError, unsupported, for an unknown name.
Value apply_filter(Workspace& workspace, const std::string& name, const Value& input,
                   const Arguments& arguments);
bool apply_test(Workspace& workspace, const std::string& name, const Value& input,
                const Arguments& arguments);

// A table of filters by name: jinja_filters.cpp holds those of one value, jinja_list_filters.cpp those of
// lists.
struct FilterCall {
  Workspace& workspace;
  const std::string& name;
  const Value& input;
  const Arguments& arguments;

  std::vector<Value> take(const std::vector<std::string>& names, size_t required = 0) const {
    return bind(name, arguments, names, required);
  }
};
using Filter = Value (*)(const FilterCall& call);
const std::map<std::string, Filter>& list_filters();

}  // namespace dmoerm::text::jinja
