#include "dmoerm/label/labeller.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <unordered_map>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/core/random.h"
#include "dmoerm/data/capability_labels.h"

namespace dmoerm::label {
namespace {

using data::CapabilityLabel;
using data::PreferenceRecord;
using data::Vote;

constexpr int64_t kShownFailures = 10;

Vote to_vote(Choice choice, Order order) {
  switch (choice) {
    case Choice::First:
      return order == Order::AB ? Vote::A : Vote::B;
    case Choice::Second:
      return order == Order::AB ? Vote::B : Vote::A;
    case Choice::Tie:
      return Vote::Tie;
    case Choice::Unparsed:
      return Vote::Unparsed;
    case Choice::Failed:
    case Choice::Unasked:
      break;
  }
  return Vote::Failed;
}

// A label of which calls are missing. It stays at its place while a judge works on its questions.
struct OpenLabel {
  std::shared_ptr<const PreferenceRecord> record;
  std::string task;  // in the tasks file; the label itself names the record's own where that is "*"
  CapabilityLabel label;
  int64_t missing = 0;
  bool unasked = false;

  std::vector<Vote>& votes(Order order) { return order == Order::AB ? label.ab : label.ba; }
  Question question(Order order, int64_t vote) const {
    const auto a = static_cast<size_t>(label.a), b = static_cast<size_t>(label.b);
    return order == Order::AB ? Question{*record, label.point, a, b, vote, task}
                              : Question{*record, label.point, b, a, vote, task};
  }
};

class Labeller {
 public:
  Labeller(Judge& judge, LabelStore& store, const LabelOptions& options, LabelSummary& summary)
      : judge_(judge), store_(store), options_(options), summary_(summary) {
    if (options.expected_calls >= 0) progress_.emplace("label", options.expected_calls, "calls");
  }

  void label(const PreferenceRecord& record, const data::TaskPoints& task) {
    OpenLabel open;
    open.record = std::make_shared<const PreferenceRecord>(record);
    open.task = task.name;
    open.label.id = record.id;
    open.label.task = task.name == data::kAnyTask ? record.task : task.name;
    open.label.judge = judge_.name();
    open.label.hash = data::answers_hash_text(record);
    if (!is_new(record)) return;
    for (const auto& [a, b] : pairs_to_judge(record, options_)) {
      for (const std::string& point : task.points) {
        open.label.point = point;
        open.label.a = a;
        open.label.b = b;
        if (options_.drop_ties && judge_.tied(open.question(Order::AB, 0))) continue;
        summary_.of(open.label.task, point);  // rows stand in the order of the data
        make(open);
      }
    }
  }

 private:
  // Error when the id stood for another prompt or other answers before: their labels would replace each
  // other.
  bool is_new(const PreferenceRecord& record) {
    const Hashes hashes{data::prompt_hash(record), data::answers_hash(record)};
    const auto [seen, added] = seen_.try_emplace(hash64(record.id), hashes);
    if (seen->second.answers != hashes.answers)
      fail("label", "two records with different answers have the id {}", record.id);
    if (seen->second.prompt != hashes.prompt)
      fail("label", "two records with different prompts have the id {}", record.id);
    summary_.repeated_records += !added;
    return added;
  }

  void make(const OpenLabel& wanted) {
    if (const auto known = store_.find(wanted.label)) {
      ++summary_.reused_labels;
      summary_.failed_before += known->failed();
      for (const Order order : {Order::AB, Order::BA})
        for (int64_t vote = 0; vote < options_.votes; ++vote)
          judge_.already_answered(wanted.question(order, vote));
      count(*known, *wanted.record);
      return;
    }
    const auto open = std::make_shared<OpenLabel>(wanted);
    std::vector<std::pair<Order, int64_t>> missing;
    for (const Order order : {Order::AB, Order::BA}) {
      for (int64_t vote = 0; vote < options_.votes; ++vote) {
        const auto answer = store_.answered(open->label, order, vote);
        open->votes(order).push_back(answer.value_or(Vote::Failed));
        if (answer)
          judge_.already_answered(open->question(order, vote));
        else
          missing.emplace_back(order, vote);
      }
    }
    open->missing = std::ssize(missing);
    if (missing.empty()) finish(*open);
    for (const auto& [order, vote] : missing)
      judge_.ask(open->question(order, vote),
                 [this, open, order = order, vote = vote](const Verdict& verdict) {
                   take(*open, order, vote, verdict);
                 });
  }

  void take(OpenLabel& open, Order order, int64_t vote, const Verdict& verdict) {
    if (verdict.choice == Choice::Unasked) {
      open.unasked = true;
      ++summary_.unasked_calls;
      store_.add_spent(open.label, order, vote, verdict.tokens);
    } else {
      const Vote answer = to_vote(verdict.choice, order);
      open.votes(order)[vote] = answer;
      store_.add_call(open.label, order, vote, answer, verdict);
      ++summary_.calls;
      if (verdict.choice == Choice::Failed) warn(open.label, verdict);
    }
    if (--open.missing == 0) finish(open);
    if (progress_ && verdict.choice != Choice::Unasked)
      progress_->advance(
          1, fmt::format("kept {}/{}  {}", summary_.total.kept, summary_.total.labels, judge_.progress()));
  }

  void warn(const CapabilityLabel& label, const Verdict& verdict) {
    if (++summary_.failed_calls <= kShownFailures)
      log().warn("record {}, {}: the judge failed: {}", label.id, label.point, verdict.text);
    if (summary_.failed_calls == kShownFailures)
      log().warn("further failures are only counted; the journal of calls has their reasons");
  }

  void finish(OpenLabel& open) {
    if (open.unasked) {
      ++summary_.open_labels;
      return;
    }
    decide(open.label);
    store_.add_label(open.label);
    count(open.label, *open.record);
  }

  void count(const CapabilityLabel& label, const PreferenceRecord& record) {
    summary_.of(label.task, label.point).add(label, record.ranks);
    summary_.total.add(label, record.ranks);
  }

  Judge& judge_;
  LabelStore& store_;
  const LabelOptions& options_;
  LabelSummary& summary_;
  std::optional<Progress> progress_;
  struct Hashes {
    uint64_t prompt, answers;
  };
  std::unordered_map<uint64_t, Hashes> seen_;  // by the id's hash
};

bool same_answer(const PreferenceRecord& record, size_t a, size_t b) {
  return record.is_ids ? record.response_ids[a] == record.response_ids[b]
                       : record.responses[a] == record.responses[b];
}

}  // namespace

std::vector<std::pair<int32_t, int32_t>> pairs_to_judge(const PreferenceRecord& record,
                                                        const LabelOptions& options) {
  std::vector<std::pair<int32_t, int32_t>> pairs;
  const auto answers = static_cast<int32_t>(record.num_answers());
  for (int32_t a = 0; a < answers; ++a) {
    for (int32_t b = a + 1; b < answers; ++b) {
      if (same_answer(record, a, b)) continue;
      if (options.drop_rank_ties && !record.ranks.empty() && record.ranks[a] == record.ranks[b]) continue;
      pairs.emplace_back(a, b);
    }
  }
  if (options.max_pairs > 0 && std::ssize(pairs) > options.max_pairs) {
    RandomStream random(options.seed, "label pairs", {hash64(record.id)});
    random.shuffle(pairs);
    pairs.resize(options.max_pairs);
    std::sort(pairs.begin(), pairs.end());
  }
  return pairs;
}

LabelSummary label_records(const std::function<bool(PreferenceRecord&)>& next,
                           const std::vector<data::TaskPoints>& tasks, Judge& judge, LabelStore& store,
                           const LabelOptions& options) {
  LabelSummary summary;
  for (const data::TaskPoints& task : tasks)
    for (const std::string& point : task.points) judge.check_point(point);
  {
    Labeller labeller(judge, store, options, summary);
    for (PreferenceRecord record; next(record);) {
      if (record.is_ids) fail("label", "record {} holds token ids: a judge needs text", record.id);
      const data::TaskPoints* task = data::find_task(tasks, record.task);
      if (task == nullptr) {
        ++summary.unknown_tasks[record.task];
        continue;
      }
      labeller.label(record, *task);
      ++summary.records;
    }
    judge.finish();
  }
  store.compact();
  summary.judge = judge.summary();
  return summary;
}

}  // namespace dmoerm::label
