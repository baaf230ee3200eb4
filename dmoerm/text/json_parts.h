// What the parts of a tokenizer.json share: the "Replace" step, and lists of steps.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/core/json.h"

namespace dmoerm::text {

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content);

// The string that a {"pattern": {"String": …}} step looks for; Error for an empty one and for other patterns.
std::string replaced_string(const Json& json, const std::string& where);

// The steps of a part: `json` itself, or, where its type is Sequence, the items of its list at `list_key`,
// and so on inwards. None for null. Every step has a "type".
std::vector<const Json*> flat_steps(const Json& json, const std::string& list_key, const std::string& where);

// The list at `key`; Error when it is absent or of another type.
const Json& json_list(const Json& json, const std::string& key, const std::string& where);

// The object's member, or null when it is absent. Error when `json` is no object.
const Json& json_member(const Json& json, const std::string& key, const std::string& where);

}  // namespace dmoerm::text
