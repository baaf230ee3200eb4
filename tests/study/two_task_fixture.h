// Two tasks that share a capability point, over a tiny random base: data, labels and base as files. An answer
// is two words and some filling; in task a the first word is what counts, in task b the second one. Labels
// favour the longer answer where the words are equal.
#pragma once

#include <fstream>

#include "dmoerm/data/reader.h"
#include "tests/train/train_fixture.h"

namespace dmoerm::train {

class TwoTaskTest : public TrainTest {
 protected:
  static constexpr int kRecords = 240;

  TwoTaskTest() {
    make_base();
    std::ofstream file(directory_ / "data.jsonl"), labels(directory_ / "labels.jsonl");
    for (int i = 0; i < kRecords; ++i) add_record(i, file, labels);
  }

  void make_base() {
    fs::create_directories(directory_ / "base");
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
      if (fs::exists(kFixtures / "tokenizer-byte_level" / name))
        fs::copy_file(kFixtures / "tokenizer-byte_level" / name, directory_ / "base" / name);
    models::Checkpoint base;
    base.family = "llama";
    nn::DecoderConfig shape = tiny_config();
    shape.vocab_size = text::Tokenizer::load(directory_ / "base").vocab_size();
    base.decoder = std::make_shared<nn::Decoder>(shape, 3);
    for (auto& [name, weight] : base.decoder->weights())
      if (weight.dim() == 2) weight.mul_(8);
    base.head = models::HeadKind::Score;
    base.score_weight = torch::ones({1, shape.hidden_size});
    models::save_checkpoint(directory_ / "base", base);
  }

  static data::PreferenceRecord make_record(int i) {
    RandomStream random(5, "armorm", {static_cast<uint64_t>(i)});
    data::PreferenceRecord record;
    record.id = std::to_string(i);
    record.task = i % 2 == 0 ? "a" : "b";
    record.messages = {{"user", record.task + record.task + std::to_string(i)}};
    std::vector<uint64_t> quality;
    for (int answer = 0; answer < 3; ++answer) {
      const uint64_t words[] = {random.below(2), random.below(2)};
      std::string text = "x";
      for (uint64_t filling = 0, n = random.below(6); filling < n; ++filling) text += " x";
      for (const uint64_t word : words) text += word ? " good" : " bad";
      record.responses.push_back({{"assistant", text}});
      quality.push_back(words[i % 2]);
    }
    for (const uint64_t mine : quality) record.ranks.push_back(mine == 1 ? 1 : 2);
    return record;
  }

  static int words_won(const std::string& point, const std::string& text) {
    const bool second = text.ends_with("good");
    const bool first = text.find("good ") != std::string::npos;
    if (point == "first") return first;
    return point == "second" ? second : first + second;
  }

  void add_record(int i, std::ofstream& file, std::ofstream& labels) {
    const data::PreferenceRecord record = make_record(i);
    std::vector<std::string> texts;
    for (const auto& response : record.responses) texts.push_back(data::response_text(response));
    file << Json{{"id", record.id},
                 {"task", record.task},
                 {"prompt", {{{"role", "user"}, {"content", record.messages[0].content}}}},
                 {"responses", texts},
                 {"ranks", record.ranks}}
                .dump()
         << "\n";
    for (const std::string point : {"both", record.task == "a" ? "first" : "second"})
      for (int32_t a = 0; a < 3; ++a)
        for (int32_t b = a + 1; b < 3; ++b) {
          const int difference = words_won(point, texts[a]) - words_won(point, texts[b]);
          data::CapabilityLabel label;
          label.id = record.id;
          label.task = record.task;
          label.point = point;
          label.judge = "j";
          label.a = a;
          label.b = b;
          label.hash = data::answers_hash_text(record);
          const bool a_wins = difference != 0 ? difference > 0 : texts[a].size() > texts[b].size();
          label.ab = label.ba = {a_wins ? data::Vote::A : data::Vote::B};
          decide(label);
          labels << to_json(label).dump() << "\n";
        }
  }
};

}  // namespace dmoerm::train
