// Reads a judge's words: which reply it names.
#pragma once

#include <string_view>

#include "dmoerm/label/judge.h"

namespace dmoerm::label {

// Takes, after the last </think>, the first of these forms that is there:
//   JSON        an object with "winner": 1, 2, "A", "B" or "tie", alone or inside other text
//   [[A]]       [[A]], [[B]], [[1]], [[2]], [[C]] or [[tie]]; the last one counts
//   the paper's whichever of '1' and '2' stands first; in an answer that was cut: its beginning only
//   one word    A, B or tie, and 平局
// Anything else is Unparsed, and the verdict's text says why.
Verdict parse_verdict(std::string_view answer, bool is_cut = false);

}  // namespace dmoerm::label
