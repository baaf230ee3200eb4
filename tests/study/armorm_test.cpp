// ArmoRM from data to directory on a tiny random base: what is trained is what is scored.
#include "dmoerm/study/armorm.h"

#include <gmock/gmock.h>

#include "dmoerm/data/split.h"
#include "dmoerm/metrics/rank_correlation.h"
#include "tests/study/two_task_fixture.h"

namespace dmoerm::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class ArmoRm : public TwoTaskTest {
 protected:
  ArmoRm() {
    config_.out = directory_ / "run";
    config_.base = directory_ / "base";
    config_.encode.chat_format = "chatml";
    config_.encode.max_tokens = 64;
    config_.data = {{{directory_ / "data.jsonl"}}};
    config_.labels = {directory_ / "labels.jsonl"};
    config_.tasks = {{"a", {"first", "both"}}, {"b", {"both", "second"}}};
    config_.split.held_out = 0.2;
    config_.phase3.train = {.epochs = 20, .batch = 16, .lr = 3e-3, .weight_decay = 0};
    armorm_.gate = {.hidden = 32, .layers = 2, .temperature = 2};
  }

  // The records of phase 3's training or held-out part.
  std::vector<data::PreferenceRecord> phase3_records(bool held_out) const {
    std::vector<data::PreferenceRecord> records;
    for (int i = 0; i < kRecords; ++i) {
      data::PreferenceRecord record = make_record(i);
      const uint64_t prompt = data::prompt_hash(record);
      if (data::split_position(prompt, "phase") < config_.split.phase1) continue;
      if ((data::split_position(prompt, "early stopping") < config_.split.held_out) == held_out)
        records.push_back(std::move(record));
    }
    return records;
  }

  // Of the records' rankings under the model's scores; equal answers make no edge.
  static std::pair<double, double> loss_and_accuracy(reward::RecordScorer& model,
                                                     const std::vector<data::PreferenceRecord>& records) {
    double loss = 0, right = 0, groups = 0, pairs = 0;
    const auto scores = model.score(records);
    for (size_t i = 0; i < records.size(); ++i) {
      EXPECT_EQ(scores[i].error, "");
      double sum = 0, edges = 0;
      for (size_t a = 0; a < 3; ++a)
        for (size_t b = 0; b < 3; ++b) {
          if (records[i].ranks[a] >= records[i].ranks[b]) continue;
          const double gap = scores[i].rewards[a] - scores[i].rewards[b];
          sum += std::log1p(std::exp(-gap));
          edges += 1;
          right += gap > 0;
        }
      if (edges == 0) continue;
      loss += sum / edges;
      groups += 1;
      pairs += edges;
    }
    return {loss / groups, right / pairs};
  }

  // The smallest held-out loss of the gate's metrics lines, and the first.
  std::pair<double, double> best_and_first_loss() const {
    double best = INFINITY, first = NAN;
    for (const Json& line : metrics(config_.out)) {
      if (line.at("stage") != "gate" || !line.contains("eval")) continue;
      const double loss = line.at("eval").at("loss").get<double>();
      if (std::isnan(first)) first = loss;
      best = std::min(best, loss);
    }
    return {best, first};
  }

  RunConfig config_;
  study::ArmoRmOptions armorm_;
};

std::vector<double> rewards_of(reward::RecordScorer& model,
                               const std::vector<data::PreferenceRecord>& records) {
  std::vector<double> all;
  for (const auto& score : model.score(records))
    all.insert(all.end(), score.rewards.begin(), score.rewards.end());
  return all;
}

TEST_F(ArmoRm, ScoresWhatItTrained) {
  reward::GatedModel model = study::train_armorm(config_, {}, armorm_);
  EXPECT_THAT(model.parts().objectives, ElementsAre("first", "both", "second"));
  const auto held_out = phase3_records(true), training = phase3_records(false);
  const auto [loss, accuracy] = loss_and_accuracy(model, held_out);
  const auto [best, first] = best_and_first_loss();
  EXPECT_NEAR(loss, best, 1e-5);
  EXPECT_LT(best, first);
  EXPECT_GT(loss_and_accuracy(model, training).second, 0.7);
  RecordProperty("loss", fmt::format("{} from {}", best, first));
  RecordProperty("accuracy", fmt::format("{} {}", accuracy, loss_and_accuracy(model, training).second));

  // Length is gone from the ratings of the training answers: those that make an edge, equal ones once.
  data::GroupEncoder encoder(model.parts().tokenizer, config_.encode);
  std::vector<std::vector<double>> ratings(3);
  std::vector<double> lengths;
  for (const auto& record : training) {
    const auto group = encoder.encode(record);
    if (group.edges.empty()) continue;
    const auto score = model.score({&record, 1})[0];
    const auto& sequence = group.records[0].sequence_of_answer;
    for (size_t a = 0; a < sequence.size(); ++a) {
      if (std::find(sequence.begin(), sequence.begin() + a, sequence[a]) != sequence.begin() + a) continue;
      lengths.push_back(static_cast<double>(encoder.answer_lengths(record)[a]));
      for (size_t p = 0; p < 3; ++p) ratings[p].push_back(score.experts[p][a]);
    }
  }
  for (const auto& rating : ratings) EXPECT_LE(std::abs(metrics::rank_correlation(rating, lengths)), 0.0305);

  reward::GatedModel read = reward::GatedModel::load(config_.out / "model");
  EXPECT_EQ(rewards_of(read, held_out), rewards_of(model, held_out));
}

TEST_F(ArmoRm, GoesOnFromEveryStage) {
  const auto records = phase3_records(true);
  reward::GatedModel whole = study::train_armorm(config_, {}, armorm_);
  const auto expected = rewards_of(whole, records);
  EXPECT_THAT([&] { study::train_armorm(config_, {}, armorm_); },
              ThrowsMessage<Error>(HasSubstr("holds a run already")));
  for (const char* lost : {"none", "gate.safetensors", "heads.safetensors"}) {
    fs::remove(config_.out / "state" / lost);
    if (std::string(lost) == "heads.safetensors") fs::remove(config_.out / "state" / "gate.safetensors");
    reward::GatedModel again = study::train_armorm(config_, {.resume = true}, armorm_);
    EXPECT_EQ(rewards_of(again, records), expected) << lost;
  }
  study::ArmoRmOptions other = armorm_;
  other.gate.hidden = 33;
  EXPECT_THAT([&] { study::train_armorm(config_, {.resume = true}, other); },
              ThrowsMessage<Error>(HasSubstr("(gate) differs")));
}

TEST_F(ArmoRm, NamesWhatIsMissing) {
  config_.tasks[1].points.push_back("wit");
  EXPECT_THAT([&] { study::train_armorm(config_, {}, armorm_); },
              ThrowsMessage<Error>(HasSubstr("wit has no training rows")));
  config_.tasks = {{"a", {"first"}}};
  config_.out = directory_ / "other";
  EXPECT_THAT([&] { study::train_armorm(config_, {}, armorm_); },
              ThrowsMessage<Error>(HasSubstr("task b is not one of the run's tasks")));
}

}  // namespace
}  // namespace dmoerm::train
