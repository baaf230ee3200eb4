#include "dmoerm/label/labeller.h"

#include <algorithm>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/core/random.h"
#include "dmoerm/data/capability_labels.h"

namespace dmoerm::label {
namespace {

using data::CapabilityLabel;
using data::PreferenceRecord;
using data::Vote;

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
      break;
  }
  return Vote::Failed;
}

Question question_of(const PreferenceRecord& record, const CapabilityLabel& label, Order order,
                     int64_t vote) {
  const auto a = static_cast<size_t>(label.a), b = static_cast<size_t>(label.b);
  return order == Order::AB ? Question{record, label.point, a, b, vote}
                            : Question{record, label.point, b, a, vote};
}

class Labeller {
 public:
  Labeller(const Judge& judge, LabelStore& store, const LabelOptions& options, LabelSummary& summary)
      : judge_(judge), store_(store), options_(options), summary_(summary) {}

  void label(const PreferenceRecord& record, const data::TaskPoints& task) {
    CapabilityLabel label;
    label.id = record.id;
    label.task = task.name == data::kAnyTask ? record.task : task.name;
    label.judge = judge_.name();
    label.hash = data::answers_hash_text(record);
    for (const auto& [a, b] : pairs_to_judge(record, options_)) {
      for (const std::string& point : task.points) {
        label.point = point;
        label.a = a;
        label.b = b;
        if (options_.drop_ties && judge_.tied(question_of(record, label, Order::AB, 0))) continue;
        const CapabilityLabel done = finish(record, label);
        summary_.of(label.task, point).add(done, record);
        summary_.total.add(done, record);
      }
    }
  }

 private:
  CapabilityLabel finish(const PreferenceRecord& record, CapabilityLabel label) {
    if (const CapabilityLabel* known = store_.find(label)) {
      ++summary_.reused_labels;
      return *known;
    }
    label.ab = ask(record, label, Order::AB);
    label.ba = ask(record, label, Order::BA);
    decide(label);
    store_.add_label(label);
    return label;
  }

  std::vector<Vote> ask(const PreferenceRecord& record, const CapabilityLabel& label, Order order) {
    std::vector<Vote> votes;
    for (int64_t vote = 0; vote < options_.votes; ++vote) {
      if (const auto answer = store_.answered(label, order, vote)) {
        votes.push_back(*answer);
        continue;
      }
      const Verdict verdict = judge_.judge(question_of(record, label, order, vote));
      ++summary_.calls;
      votes.push_back(to_vote(verdict.choice, order));
      if (verdict.choice == Choice::Failed)
        log().warn("record {}, {}: the judge failed: {}", label.id, label.point, verdict.text);
      store_.add_call(label, order, vote, votes.back(), verdict.text);
    }
    return votes;
  }

  const Judge& judge_;
  LabelStore& store_;
  const LabelOptions& options_;
  LabelSummary& summary_;
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
                           const std::vector<data::TaskPoints>& tasks, const Judge& judge, LabelStore& store,
                           const LabelOptions& options) {
  LabelSummary summary;
  for (const data::TaskPoints& task : tasks)
    for (const std::string& point : task.points) judge.check_point(point);
  Labeller labeller(judge, store, options, summary);
  Progress progress("label", 0, "records");
  for (PreferenceRecord record; next(record);) {
    if (record.is_ids) fail("label", "record {} holds token ids: a judge needs text", record.id);
    const data::TaskPoints* task = data::find_task(tasks, record.task);
    if (task == nullptr) {
      ++summary.unknown_tasks[record.task];
      continue;
    }
    labeller.label(record, *task);
    ++summary.records;
    progress.advance(1, fmt::format("kept {}/{}", summary.total.kept, summary.total.labels));
  }
  store.compact();
  return summary;
}

}  // namespace dmoerm::label
