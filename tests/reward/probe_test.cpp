// Probing checkpoints against the reference outputs of transformers and PEFT.
#include "dmoerm/reward/probe.h"

#include <cmath>

#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {
namespace {

std::vector<Json> probe(const std::string& model, const std::string& lines, const fs::path& adapter = {}) {
  TemporaryDirectory directory;
  const fs::path input = directory.path() / "lines.jsonl";
  write_file_atomically(input, lines);
  std::vector<Json> answers;
  ProbeOptions options;
  options.model = fs::path(DMOERM_TEST_DATA) / model;
  options.adapter = adapter;
  probe_file(options, input, [&](std::string_view line) { answers.push_back(parse_json(line, "answer")); });
  return answers;
}

double difference(const Json& answer, const Tensor& expected) {
  const Tensor actual = torch::tensor(answer.get<std::vector<double>>());
  return ((actual - expected.flatten()).abs().max() / expected.abs().max()).item<double>();
}

std::string ids_line(const Tensor& ids) {
  const Tensor plain = ids.to(torch::kInt64).contiguous();
  return dump_json({{"ids", std::vector<int64_t>(plain.data_ptr<int64_t>(),
                                                 plain.data_ptr<int64_t>() + plain.numel())}}) +
         "\n";
}

TEST(Probe, GivesStatesLogitsAndScores) {
  for (const char* name : {"gpt_neox-lm", "qwen2_labels3-seq"}) {
    const NamedTensors expected =
        load_safetensors(fs::path(DMOERM_TEST_DATA) / name / "expected.safetensors");
    const auto answers = probe(name, ids_line(expected.at("ids.0")) + "\n" + ids_line(expected.at("ids.2")));
    ASSERT_EQ(answers.size(), 2u);
    const bool causal = std::string(name).ends_with("-lm");
    const Tensor& logits = expected.at("logits.2");
    EXPECT_LT(difference(answers[1]["hidden"], expected.at("hidden_last3.2")[-1]), 1e-4) << name;
    EXPECT_LT(difference(answers[1][causal ? "logits" : "scores"], causal ? logits[-1] : logits), 1e-4)
        << name;
    EXPECT_EQ(answers[1].size(), 3u);
  }
}

TEST(Probe, AnAdapterBringsItsHead) {
  const fs::path experts = fs::path(DMOERM_TEST_DATA) / "llama-experts";
  const std::string base = load_json(experts / "experts.json")["base"];
  const NamedTensors expected = load_safetensors(experts / "expected.safetensors");
  const Tensor ids = torch::cat({expected.at("prompt.0"), expected.at("answer.0.1")});
  const auto answers = probe(base, ids_line(ids), experts / "expert2");
  EXPECT_LT(difference(answers.at(0)["scores"], expected.at("expert_score.0.1.2")), 1e-4);
}

// JSON would hold them as null.
TEST(Probe, NumbersThatAreNotFiniteAreAnError) {
  TemporaryDirectory directory;
  const fs::path broken = directory.path() / "broken";
  models::Checkpoint checkpoint = models::load_checkpoint(fs::path(DMOERM_TEST_DATA) / "llama-seq");
  checkpoint.score_weight[0][0] = NAN;
  fs::create_directories(broken);
  models::save_checkpoint(broken, checkpoint);
  write_file_atomically(directory.path() / "lines.jsonl", "{\"ids\": [1, 2]}\n");
  ProbeOptions options;
  options.model = broken;
  EXPECT_THAT(
      error_of([&] { probe_file(options, directory.path() / "lines.jsonl", [](std::string_view) {}); }),
      testing::HasSubstr("lines.jsonl:1] the model gives numbers that are not finite"));
}

TEST(Probe, NamesBadLines) {
  const auto error = [](const std::string& line) {
    try {
      probe("llama-lm", "{\"ids\": [1]}\n" + line);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  using testing::HasSubstr;
  EXPECT_THAT(error("{\"ids\": []}"), HasSubstr("lines.jsonl:2] found no tokens"));
  EXPECT_THAT(error("{\"ids\": [1, -3]}"), HasSubstr("holds -3"));
  EXPECT_THAT(error("{\"ids\": [1, 160]}"), HasSubstr("160"));
  EXPECT_THAT(error("{\"ids\": 7}"), HasSubstr("a whole number, expected a list"));
  EXPECT_THAT(error("{\"ids\": [1], \"text\": \"a\"}"), HasSubstr("either"));
  EXPECT_THAT(error("[1, 2]"), HasSubstr("either"));
  EXPECT_THAT(error("{\"text\": \"a\"}"), HasSubstr("tokenizer.json"));
  EXPECT_THAT(error("{\"ids\": "), HasSubstr("not valid JSON"));
}

}  // namespace
}  // namespace dmoerm::reward
