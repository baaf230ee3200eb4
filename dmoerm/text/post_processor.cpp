#include "dmoerm/text/post_processor.h"

#include <limits>

#include "dmoerm/text/json_parts.h"

namespace dmoerm::text {
namespace {

void append_ids(const Json& processor, const std::string& token, const std::string& where,
                std::vector<int32_t>& ids) {
  const Json& tokens = json_member(processor, "special_tokens", where);
  if (!tokens.is_object() || !tokens.contains(token))
    fail(where, "the template names \"{}\", which \"special_tokens\" does not define", token);
  for (const Json& id : json_list(tokens[token], "ids", where)) {
    if (!id.is_number_integer())
      fail(where, "an id of \"{}\" is {}, expected a whole number", token, json_kind(id));
    if (id < 0 || id > std::numeric_limits<int32_t>::max())
      fail(where, "an id of \"{}\" is {}, expected 0 or more, in 31 bits", token, id.dump());
    ids.push_back(id.get<int32_t>());
  }
}

}  // namespace

void PostProcessor::add(const Json& json, const std::string& where) {
  const auto type = json_field<std::string>(json, "type", where);
  if (type == "ByteLevel") return;
  if (type != "TemplateProcessing")
    fail(where, "\"{}\" is not supported, expected TemplateProcessing, ByteLevel or Sequence", type);
  std::vector<int32_t>* target = &prefix_;
  for (const Json& item : json_list(json, "single", where)) {
    if (item.is_object() && item.contains("Sequence")) {
      if (target == &suffix_) fail(where, "the template holds the sequence twice, expected once");
      target = &suffix_;
    } else {
      append_ids(json, json_field<std::string>(json_member(item, "SpecialToken", where), "id", where), where,
                 *target);
    }
  }
  if (target == &prefix_) fail(where, "the template does not hold the sequence");
}

PostProcessor PostProcessor::from_json(const Json& json, const std::string& where) {
  PostProcessor processor;
  for (const Json* step : flat_steps(json, "processors", where)) processor.add(*step, where);
  return processor;
}

void PostProcessor::set_bos(int32_t id, bool add) {
  std::erase(prefix_, id);
  if (add) prefix_.insert(prefix_.begin(), id);
}

void PostProcessor::set_eos(int32_t id, bool add) {
  std::erase(suffix_, id);
  if (add) suffix_.push_back(id);
}

}  // namespace dmoerm::text
