#include "dmoerm/label/label_store.h"

#include <algorithm>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"

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

constexpr std::pair<Vote, const char*> kVoteNames[] = {{Vote::A, "a"},
                                                       {Vote::B, "b"},
                                                       {Vote::Tie, "tie"},
                                                       {Vote::Unparsed, "unparsed"},
                                                       {Vote::Failed, "failed"}};

const char* vote_name(Vote vote) {
  for (const auto& [value, name] : kVoteNames)
    if (value == vote) return name;
  DMOERM_ASSERT(!"every vote has a name");
  return "";
}

Vote vote_named(const std::string& text, const std::string& where) {
  for (const auto& [value, name] : kVoteNames)
    if (text == name) return value;
  fail(where, "\"answer\" is \"{}\", expected a, b, tie, unparsed or failed", text);
}

Json call_json(const CapabilityLabel& label, Order order, int64_t vote) {
  return {{"id", label.id},
          {"point", label.point},
          {"a", label.a},
          {"b", label.b},
          {"judge", label.judge},
          {"hash", label.hash},
          {"order", order == Order::AB ? "ab" : "ba"},
          {"vote", vote}};
}

}  // namespace

LabelStore::Digest LabelStore::digest(const std::string& key) {
  return {hash64(key, 0), hash64(key, 1)};
}

// Calls also know the answers' hash: what was said of other answers does not count.
LabelStore::Digest LabelStore::call_digest(const CapabilityLabel& label) {
  return digest(label_key(label) + "\n" + label.hash);
}

LabelStore::LabelStore(fs::path path, const StoreOptions& options)
    : path_(checked(std::move(path))), options_(options) {
  if (!options_.read_only) lock_.emplace(beside(path_, ".lock"));
  const LineLog::Mode mode = options_.read_only ? LineLog::Mode::Read : LineLog::Mode::Append;
  label_log_ = std::make_unique<LineLog>(path_, mode);
  call_log_ = std::make_unique<LineLog>(beside(path_, ".calls"), mode);
  if (options_.keep_raw && !options_.read_only) raw_log_ = std::make_unique<LineLog>(beside(path_, ".raw"));
  read_labels();
  read_calls();
}

void LabelStore::read_labels() {
  labels_.clear();
  num_lines_ = 0;
  label_log_->for_each_line([&](const std::string& line, uint64_t begin, size_t number) {
    const std::string where = fmt::format("{}:{}", path_.string(), number);
    remember(data::label_from_json(parse_json(line, where), where), begin, line.size());
  });
}

void LabelStore::read_calls() {
  call_log_->for_each_line([&](const std::string& line, uint64_t, size_t number) {
    const std::string where = fmt::format("{}:{}", call_log_->path().string(), number);
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
    const auto vote = json_field<int64_t>(json, "vote", where);
    tokens_[label.judge] += {json_field_or<int64_t>(json, "prompt_tokens", 0, where),
                             json_field_or<int64_t>(json, "completion_tokens", 0, where)};
    if (json.contains("answer") && json["answer"].is_null()) return;  // open: only its tokens count
    const Vote answer = vote_named(json_field<std::string>(json, "answer", where), where);
    const auto known = labels_.find(digest(label_key(label)));
    if (known != labels_.end() && !known->second.failed) return;
    remember_call(label, order == "ab" ? Order::AB : Order::BA, vote, answer);
  });
}

void LabelStore::remember(const CapabilityLabel& label, uint64_t begin, size_t size) {
  labels_[digest(label_key(label))] = {begin, static_cast<uint32_t>(size), label.failed()};
  ++num_lines_;
}

void LabelStore::remember_call(const CapabilityLabel& label, Order order, int64_t vote, Vote answer) {
  std::vector<Call>& calls = open_calls_[call_digest(label)];
  std::erase_if(calls, [&](const Call& call) { return call.order == order && call.vote == vote; });
  calls.push_back({order, vote, answer});
}

std::optional<CapabilityLabel> LabelStore::find(const CapabilityLabel& wanted) const {
  const auto known = labels_.find(digest(label_key(wanted)));
  if (known == labels_.end()) return std::nullopt;
  const std::string where = path_.string();
  CapabilityLabel label = data::label_from_json(
      parse_json(label_log_->read(known->second.begin, known->second.size), where), where);
  if (label.hash != wanted.hash)
    fail("labels", "{}: record {} was labelled with other answers (hash {}, now {}); write to another file",
         where, wanted.id, label.hash, wanted.hash);
  if (label.failed() && options_.retry_failed) return std::nullopt;
  return label;
}

std::optional<Vote> LabelStore::answered(const CapabilityLabel& wanted, Order order, int64_t vote) const {
  const auto calls = open_calls_.find(call_digest(wanted));
  if (calls == open_calls_.end()) return std::nullopt;
  for (const Call& call : calls->second) {
    if (call.order != order || call.vote != vote) continue;
    if (call.answer == Vote::Failed && options_.retry_failed) return std::nullopt;
    return call.answer;
  }
  return std::nullopt;
}

void LabelStore::add_tokens(Json& call, const Tokens& tokens) {
  if (tokens.prompt == 0 && tokens.completion == 0) return;
  call["prompt_tokens"] = tokens.prompt;
  call["completion_tokens"] = tokens.completion;
  tokens_[call["judge"].get<std::string>()] += tokens;
}

void LabelStore::add_call(const CapabilityLabel& wanted, Order order, int64_t vote, Vote answer,
                          const Verdict& verdict) {
  Json json = call_json(wanted, order, vote);
  if (raw_log_ != nullptr && !verdict.raw.is_null()) {
    Json raw = json;
    raw["raw"] = verdict.raw;
    raw_log_->append(dump_json(raw));
  }
  json["answer"] = vote_name(answer);
  if (!verdict.text.empty()) json["text"] = verdict.text;
  add_tokens(json, verdict.tokens);
  call_log_->append(dump_json(json));
  remember_call(wanted, order, vote, answer);
}

void LabelStore::add_spent(const CapabilityLabel& wanted, Order order, int64_t vote, const Tokens& tokens) {
  if (tokens.prompt == 0 && tokens.completion == 0) return;
  Json json = call_json(wanted, order, vote);
  json["answer"] = nullptr;
  add_tokens(json, tokens);
  call_log_->append(dump_json(json));
}

void LabelStore::add_label(const CapabilityLabel& label) {
  const std::string line = dump_json(to_json(label));
  remember(label, label_log_->append(line), line.size());
  if (!label.failed()) open_calls_.erase(call_digest(label));
}

void LabelStore::compact() {
  if (options_.read_only || num_lines_ == labels_.size()) return;
  AtomicFile file(path_);
  label_log_->for_each_line([&](const std::string& line, uint64_t begin, size_t) {
    const CapabilityLabel label = data::label_from_json(parse_json(line, path_.string()), path_.string());
    if (labels_.at(digest(label_key(label))).begin == begin) file.write(line + "\n");
  });
  label_log_.reset();
  file.commit();
  label_log_ = std::make_unique<LineLog>(path_);
  read_labels();
}

Tokens LabelStore::tokens(const std::string& judge) const {
  const auto known = tokens_.find(judge);
  return known == tokens_.end() ? Tokens{} : known->second;
}

}  // namespace dmoerm::label
