#include "dmoerm/label/label_store.h"

#include "dmoerm/core/error.h"
#include "dmoerm/core/json.h"

namespace dmoerm::label {
namespace {

using data::CapabilityLabel;
using data::Vote;

fs::path beside(const fs::path& path, const char* extension) {
  return fs::path(path).replace_extension(extension);
}

fs::path checked(fs::path path) {
  if (path.extension() != ".jsonl")
    fail("labels", "{}: the name of a labels file must end with .jsonl", path.string());
  return path;
}

// Calls also know the answers' hash: what was said of other answers does not count.
std::string call_key(const CapabilityLabel& label) {
  return label_key(label) + "\n" + label.hash;
}

constexpr std::pair<Vote, const char*> kVoteNames[] = {
    {Vote::A, "a"}, {Vote::B, "b"}, {Vote::Tie, "tie"}, {Vote::Unparsed, "unparsed"}};

const char* vote_name(Vote vote) {
  for (const auto& [value, name] : kVoteNames)
    if (value == vote) return name;
  DMOERM_ASSERT(!"a failed call has no name");
  return "";
}

Vote vote_named(const std::string& text, const std::string& where) {
  for (const auto& [value, name] : kVoteNames)
    if (text == name) return value;
  fail(where, "\"answer\" is \"{}\", expected a, b, tie or unparsed", text);
}

}  // namespace

LabelStore::LabelStore(fs::path path) : path_(checked(std::move(path))), lock_(beside(path_, ".lock")) {
  label_log_ = std::make_unique<LineLog>(path_);
  call_log_ = std::make_unique<LineLog>(beside(path_, ".calls"));
  read_labels();
  read_calls();
}

void LabelStore::read_labels() {
  LineReader reader(path_);
  for (std::string line; reader.next(line); ++num_lines_) {
    const std::string where = fmt::format("{}:{}", path_.string(), reader.line_number());
    remember(data::label_from_json(parse_json(line, where), where));
  }
}

void LabelStore::read_calls() {
  LineReader reader(call_log_->path());
  for (std::string line; reader.next(line);) {
    const std::string where = fmt::format("{}:{}", call_log_->path().string(), reader.line_number());
    const Json json = parse_json(line, where);
    CapabilityLabel label;
    label.id = json_field<std::string>(json, "id", where);
    label.point = json_field<std::string>(json, "point", where);
    label.judge = json_field<std::string>(json, "judge", where);
    label.a = json_field<int32_t>(json, "a", where);
    label.b = json_field<int32_t>(json, "b", where);
    label.hash = json_field<std::string>(json, "hash", where);
    const auto order = json_field<std::string>(json, "order", where);
    if (order != "ab" && order != "ba") fail(where, "\"order\" is \"{}\", expected ab or ba", order);
    const auto known = position_.find(label_key(label));
    if (known != position_.end() && !labels_[known->second].failed()) continue;
    const Call call{order == "ab" ? Order::AB : Order::BA, json_field<int64_t>(json, "vote", where)};
    open_calls_[call_key(label)][call] = vote_named(json_field<std::string>(json, "answer", where), where);
  }
}

void LabelStore::remember(const CapabilityLabel& label) {
  const auto [known, added] = position_.try_emplace(label_key(label), labels_.size());
  if (added)
    labels_.push_back(label);
  else
    labels_[known->second] = label;
}

const CapabilityLabel* LabelStore::find(const CapabilityLabel& wanted) const {
  const auto known = position_.find(label_key(wanted));
  if (known == position_.end()) return nullptr;
  const CapabilityLabel& label = labels_[known->second];
  if (label.hash != wanted.hash)
    fail("labels", "{}: record {} was labelled with other answers (hash {}, now {}); write to another file",
         path_.string(), wanted.id, label.hash, wanted.hash);
  return label.failed() ? nullptr : &label;
}

std::optional<Vote> LabelStore::answered(const CapabilityLabel& wanted, Order order, int64_t vote) const {
  const auto calls = open_calls_.find(call_key(wanted));
  if (calls == open_calls_.end()) return std::nullopt;
  const auto call = calls->second.find({order, vote});
  if (call == calls->second.end()) return std::nullopt;
  return call->second;
}

void LabelStore::add_call(const CapabilityLabel& wanted, Order order, int64_t vote, Vote answer,
                          const std::string& text) {
  if (answer == Vote::Failed) return;
  Json json = {{"id", wanted.id},
               {"point", wanted.point},
               {"a", wanted.a},
               {"b", wanted.b},
               {"judge", wanted.judge},
               {"hash", wanted.hash},
               {"order", order == Order::AB ? "ab" : "ba"},
               {"vote", vote},
               {"answer", vote_name(answer)}};
  if (!text.empty()) json["text"] = text;
  call_log_->append(dump_json(json));
  open_calls_[call_key(wanted)][{order, vote}] = answer;
}

void LabelStore::add_label(const CapabilityLabel& label) {
  label_log_->append(dump_json(to_json(label)));
  ++num_lines_;
  remember(label);
  if (!label.failed()) open_calls_.erase(call_key(label));
}

void LabelStore::compact() {
  if (num_lines_ == labels_.size()) return;
  AtomicFile file(path_);
  for (const CapabilityLabel& label : labels_) file.write(dump_json(to_json(label)) + "\n");
  label_log_.reset();
  file.commit();
  label_log_ = std::make_unique<LineLog>(path_);
  num_lines_ = labels_.size();
}

}  // namespace dmoerm::label
