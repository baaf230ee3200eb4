// Expressions of a template, by Jinja's grammar.
#pragma once

#include "dmoerm/text/jinja_token_reader.h"

namespace dmoerm::text::jinja {

enum class WithChoice { Yes, No };  // whether "a if b else c" may stand there without brackets

NodePointer parse_expression(TokenReader& reader, WithChoice choice = WithChoice::Yes);
// As above, and "a, b" is a tuple.
NodePointer parse_tuple(TokenReader& reader, WithChoice choice = WithChoice::Yes);
// What is assigned to: names, or an attribute of one (of a namespace).
NodePointer parse_target(TokenReader& reader);
// "| upper | trim", applied to the text of a block; null when there is none.
NodePointer parse_block_filters(TokenReader& reader, bool first_without_bar);

}  // namespace dmoerm::text::jinja
