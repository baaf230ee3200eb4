#include "dmoerm/data/capability_label.h"

#include <algorithm>

namespace dmoerm::data {
namespace {

Json votes_to_json(const std::vector<Vote>& votes) {
  Json list = Json::array();
  for (const Vote vote : votes) {
    if (vote == Vote::A)
      list.push_back("a");
    else if (vote == Vote::B)
      list.push_back("b");
    else
      list.push_back(nullptr);
  }
  return list;
}

// What a null stood for is only known from the label's reason; it matters to no reader of the file.
std::vector<Vote> votes_from_json(const Json& votes, const char* order, std::string_view where) {
  const auto list = votes.find(order);
  if (list == votes.end() || !list->is_array()) fail(where, "\"votes\" has no list \"{}\"", order);
  std::vector<Vote> result;
  for (const Json& vote : *list) {
    if (vote == "a")
      result.push_back(Vote::A);
    else if (vote == "b")
      result.push_back(Vote::B);
    else if (vote.is_null())
      result.push_back(Vote::Unparsed);
    else
      fail(where, "a vote is {}, expected \"a\", \"b\" or null", vote.dump());
  }
  return result;
}

Vote majority(const std::vector<Vote>& votes) {
  const auto count = [&](Vote vote) { return std::count(votes.begin(), votes.end(), vote); };
  const auto a = count(Vote::A), b = count(Vote::B);
  if (count(Vote::Failed) > 0 || votes.empty()) return Vote::Failed;
  if (a != b) return a > b ? Vote::A : Vote::B;
  return a + b == 0 && count(Vote::Unparsed) > 0 ? Vote::Unparsed : Vote::Tie;
}

}  // namespace

void decide(CapabilityLabel& label) {
  const Vote first = majority(label.ab), second = majority(label.ba);
  const auto either = [&](Vote vote) { return first == vote || second == vote; };
  label.a_wins.reset();
  label.reason.clear();
  if (either(Vote::Failed))
    label.reason = "failed";
  else if (either(Vote::Unparsed))
    label.reason = "unparsed";
  else if (either(Vote::Tie))
    label.reason = "tie";
  else if (first != second)
    label.reason = "disagree";
  else
    label.a_wins = first == Vote::A;
}

std::string label_key(const CapabilityLabel& label) {
  return fmt::format("{}\n{}\n{}\n{}\n{}", label.id, label.point, label.a, label.b, label.judge);
}

Json to_json(const CapabilityLabel& label) {
  Json json = {
      {"id", label.id}, {"task", label.task}, {"point", label.point}, {"a", label.a}, {"b", label.b}};
  json["winner"] = label.kept() ? Json(*label.a_wins ? "a" : "b") : Json(nullptr);
  if (!label.kept()) json["reason"] = label.reason;
  json["votes"] = {{"ab", votes_to_json(label.ab)}, {"ba", votes_to_json(label.ba)}};
  json["judge"] = label.judge;
  json["hash"] = label.hash;
  return json;
}

CapabilityLabel label_from_json(const Json& json, std::string_view where) {
  if (!json.is_object()) fail(where, "a label is {}, expected an object", json_kind(json));
  CapabilityLabel label;
  label.id = json_field<std::string>(json, "id", where);
  label.task = json_field_or<std::string>(json, "task", "", where);
  label.point = json_field<std::string>(json, "point", where);
  label.judge = json_field_or<std::string>(json, "judge", "", where);
  label.hash = json_field<std::string>(json, "hash", where);
  const auto a = json_field<int64_t>(json, "a", where), b = json_field<int64_t>(json, "b", where);
  if (a < 0 || b < 0 || a == b || std::max(a, b) > INT32_MAX)
    fail(where, "\"a\" is {} and \"b\" is {}, expected two different answers of the record", a, b);
  label.a = static_cast<int32_t>(a);
  label.b = static_cast<int32_t>(b);
  const auto votes = json.find("votes");
  if (votes != json.end()) {
    if (!votes->is_object()) fail(where, "\"votes\" is {}, expected an object", json_kind(*votes));
    label.ab = votes_from_json(*votes, "ab", where);
    label.ba = votes_from_json(*votes, "ba", where);
  }
  const auto winner = json.find("winner");
  if (winner == json.end()) fail(where, "\"winner\" is missing");
  if (*winner == "a" || *winner == "b")
    label.a_wins = *winner == "a";
  else if (!winner->is_null())
    fail(where, "\"winner\" is {}, expected \"a\", \"b\" or null", winner->dump());
  label.reason = label.kept() ? "" : json_field_or<std::string>(json, "reason", "disagree", where);
  return label;
}

}  // namespace dmoerm::data
