// A template's source -> its tree.
#pragma once

#include <string_view>

#include "dmoerm/text/jinja_tree.h"

namespace dmoerm::text::jinja {

// TemplateError "line 3: …" for what is no template, or holds a tag that is not supported.
NodePointer parse(std::string_view source);

}  // namespace dmoerm::text::jinja
