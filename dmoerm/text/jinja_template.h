// A Jinja template as checkpoints carry it: what transformers' sandbox renders, within the limits of
// jinja_error.h. Not there: other templates (include, import, extends, block), recursive loops, and
// functions, filters and methods that chat templates do not use; each is an error that names it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "dmoerm/text/jinja_tree.h"

namespace dmoerm::text::jinja {

class Template {
 public:
  // TemplateError "line 3: …".
  explicit Template(std::string_view source);

  // The text with these variables; TemplateError "line 3: …". Safe from many threads.
  std::string render(std::map<std::string, Value> variables) const;

 private:
  std::shared_ptr<const Node> tree_;
};

}  // namespace dmoerm::text::jinja
