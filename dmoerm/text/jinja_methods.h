// Methods of strings, lists and mappings, as in Python; only those that change nothing, as in Jinja's
// sandbox.
#pragma once

#include <string>

#include "dmoerm/text/jinja_workspace.h"

namespace dmoerm::text::jinja {

// TemplateError, unsupported, for a method that is not there.
Value call_method(Workspace& workspace, const Value& object, const std::string& name,
                  const Arguments& arguments);

// str.replace of at most `count` places, all when it is negative.
std::string replaced(const std::string& text, const std::string& old, const std::string& other,
                     int64_t count);

}  // namespace dmoerm::text::jinja
