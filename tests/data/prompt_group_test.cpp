// Encoding: sequences are what a tool that scores each alone would tokenise; cuts; edges; merging.
#include "dmoerm/data/prompt_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/data/reader.h"

namespace dmoerm::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Tokens = std::vector<int32_t>;

text::Tokenizer tokenizer() {
  static const auto loaded = text::Tokenizer::load(DMOERM_TEST_DATA "/tokenizer-byte_level");
  return loaded;
}

GroupEncoder encoder(const std::string& chat_format = "chatml", int64_t max_tokens = 1024,
                     TooLong too_long = TooLong::Truncate) {
  return GroupEncoder(tokenizer(), {chat_format, max_tokens, too_long});
}

PreferenceRecord record(const std::string& line) {
  ReaderOptions options;
  options.require_ranks = false;
  return parse_record(line, options);
}

std::string repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

Tokens last(const Tokens& tokens, size_t count) {
  return {tokens.end() - count, tokens.end()};
}

const std::string kChat = R"({"id":"r","prompt":[{"role":"user","content":"What is 2+2?"}],)"
                          R"("responses":["It is four.","Five, I think"],"ranks":[1,2],"margin":0.5})";

TEST(GroupEncoder, MessagesAreRenderedAndTokenizedAsOneText) {
  const auto group = encoder().encode(record(kChat));
  ASSERT_EQ(group.sequences.size(), 2u);
  EXPECT_EQ(group.sequences[0],
            tokenizer().encode(
                "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\nIt is four.<|im_end|>\n"));
  ASSERT_EQ(group.edges.size(), 1u);
  EXPECT_EQ(group.edges[0].better, 0);
  EXPECT_EQ(group.edges[0].worse, 1);
  EXPECT_EQ(group.edges[0].margin, 0.5f);
  EXPECT_EQ(group.records[0].id, "r");
  EXPECT_EQ(group.num_tokens(), group.sequences[0].size() + group.sequences[1].size());
}

TEST(GroupEncoder, RawTextIsOneTextAndGetsEosOnce) {
  const int32_t eos = *tokenizer().eos_id();
  const auto group =
      encoder().encode(record(R"({"prompt":"The sk","chosen":"y is blue","rejected":"i<|im_end|>"})"));
  Tokens whole = tokenizer().encode("The sky is blue");  // tokens cross the prompt's end
  whole.push_back(eos);
  EXPECT_EQ(group.sequences[0], whole);
  EXPECT_EQ(group.sequences[1], tokenizer().encode("The ski<|im_end|>"));
}

TEST(GroupEncoder, IdsAreTakenAsGivenAndNeedNoTokenizer) {
  GroupEncoder without(std::nullopt, {});
  const auto group = without.encode(record(R"({"prompt_ids":[5,6],"response_ids":[[7],[8,9],[7]]})"));
  EXPECT_THAT(group.sequences, ElementsAre(Tokens{5, 6, 7}, Tokens{5, 6, 8, 9}));
  EXPECT_THAT(group.records[0].sequence_of_answer, ElementsAre(0, 1, 0));
  EXPECT_THROW(without.encode(record(kChat)), Error);
}

TEST(GroupEncoder, EmptyPromptAndEmptyAnswer) {
  const auto group = encoder().encode(record(R"({"prompt":"","responses":["","a"]})"));
  EXPECT_EQ(group.sequences[0], Tokens{*tokenizer().eos_id()});
  EXPECT_EQ(group.sequences[1].back(), *tokenizer().eos_id());
}

TEST(GroupEncoder, EdgesOfRanksTiesAndEqualAnswers) {
  // Ranks 1 2 2 3; answers 1 and 3 are equal: between them no edge, contradictions with others stay.
  const auto group = encoder().encode(
      record(R"({"prompt_ids":[1],"response_ids":[[10],[11],[12],[11]],"ranks":[1,2,2,3]})"));
  std::vector<std::pair<int32_t, int32_t>> edges;
  for (const Edge& edge : group.edges) edges.emplace_back(edge.better, edge.worse);
  EXPECT_THAT(edges, ElementsAre(std::pair(0, 1), std::pair(0, 2), std::pair(0, 1), std::pair(2, 1)));
  EXPECT_TRUE(encoder()
                  .encode(record(R"({"prompt_ids":[1],"response_ids":[[10],[11]],"ranks":[4,4]})"))
                  .edges.empty());
}

TEST(GroupEncoder, PromptIsCutFromTheLeft) {
  auto cutting = encoder("chatml", 40);
  auto whole = encoder();
  const auto long_prompt = record(R"({"prompt":[{"role":"user","content":")" + repeat("many words ", 50) +
                                  R"("}],"responses":["short answer","another"]})");
  const auto cut = cutting.encode(long_prompt), full = whole.encode(long_prompt);
  for (size_t s = 0; s < 2; ++s) {
    ASSERT_GT(full.sequences[s].size(), 40u);
    EXPECT_EQ(cut.sequences[s], last(full.sequences[s], 40));
  }
  EXPECT_EQ(cutting.counts().prompts_cut, 2);
  EXPECT_EQ(cutting.counts().answers_cut, 0);
  EXPECT_EQ(cutting.counts().sequences, 2);
}

TEST(GroupEncoder, LongAnswerIsCutAtItsRightEndWithTheClosingTokensKept) {
  auto cutting = encoder("chatml", 40);
  const auto long_answer = record(R"({"prompt":[{"role":"user","content":"Hi"}],"responses":[")" +
                                  repeat("many words ", 50) + R"("]})");
  const auto cut = cutting.encode(long_answer), full = encoder().encode(long_answer);
  const Tokens closing = tokenizer().encode("<|im_end|>\n");
  const Tokens answer = tokenizer().encode(repeat("many words ", 50));
  Tokens expected(answer.begin(), answer.begin() + (40 - closing.size()));
  expected.insert(expected.end(), closing.begin(), closing.end());
  EXPECT_EQ(cut.sequences[0], expected);
  EXPECT_EQ(last(full.sequences[0], closing.size()), closing);
  EXPECT_EQ(cutting.counts().answers_cut, 1);

  auto one = encoder("chatml", 1);
  EXPECT_EQ(one.encode(long_answer).sequences[0], last(closing, 1));

  auto text = encoder("chatml", 20);
  const auto raw = text.encode(record(R"({"prompt":"Hi","responses":[")" + repeat(" words", 90) + R"("]})"));
  EXPECT_EQ(raw.sequences[0].size(), 20u);
  EXPECT_EQ(raw.sequences[0].back(), *tokenizer().eos_id());
  EXPECT_EQ(raw.sequences[0][0], tokenizer().encode(repeat(" words", 90))[0]);

  GroupEncoder ids(std::nullopt, {"plain", 4, TooLong::Truncate});
  EXPECT_THAT(ids.encode(record(R"({"prompt_ids":[1,2,3],"response_ids":[[4,5],[4,5,6,7,8]]})")).sequences,
              ElementsAre(Tokens{2, 3, 4, 5}, Tokens{4, 5, 6, 8}));
}

TEST(GroupEncoder, TooLongMayBeDroppedOrAnError) {
  const auto line = record(R"({"id":"long","prompt_ids":[1,2,3],"response_ids":[[4],[4,5,6]]})");
  GroupEncoder dropping(std::nullopt, {"plain", 4, TooLong::Drop});
  EXPECT_TRUE(dropping.encode(line).sequences.empty());
  EXPECT_EQ(dropping.counts().records_dropped, 1);
  GroupEncoder strict(std::nullopt, {"plain", 4, TooLong::Error});
  try {
    strict.encode(line);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("record long has a sequence of 6 tokens, expected at most 4"));
  }
  EXPECT_THROW(GroupEncoder(std::nullopt, {"plain", 0, TooLong::Drop}), Error);
  EXPECT_THROW(GroupEncoder(std::nullopt, {"unknown", 10, TooLong::Drop}), Error);
}

TEST(GroupEncoder, RouterReadsTheUsersTurns) {
  const int32_t eos = *tokenizer().eos_id();
  const auto chat =
      R"({"prompt":[{"role":"system","content":"s"},{"role":"user","content":"one"},)"
      R"({"role":"assistant","content":"a"},{"role":"user","content":"two"}],"responses":["x"]})";
  Tokens expected = tokenizer().encode("one\ntwo");
  expected.push_back(eos);
  auto chatml = encoder();
  EXPECT_EQ(chatml.encode_router_input(record(chat)), expected);

  // The same turns as rendered text, and as ids of it.
  const std::string rendered =
      "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n<|im_start|>user\ntwo<|im_end|>\n"
      "<|im_start|>assistant\n";
  PreferenceRecord text = record(R"({"prompt":"","responses":["x"]})");
  text.prompt_text = rendered;
  EXPECT_EQ(chatml.encode_router_input(text), expected);
  PreferenceRecord ids = record(R"({"prompt_ids":[1],"response_ids":[[1]]})");
  ids.prompt_ids = tokenizer().encode(rendered);
  EXPECT_EQ(chatml.encode_router_input(ids), expected);

  // Without turns all of it is read.
  ids.prompt_ids = {40, 41};
  EXPECT_THAT(chatml.encode_router_input(ids), ElementsAre(40, 41, eos));
  text.prompt_text = "just words";
  Tokens words = tokenizer().encode("just words");
  words.push_back(eos);
  EXPECT_EQ(chatml.encode_router_input(text), words);
  EXPECT_EQ(encoder("chatml", 2).encode_router_input(text), last(words, 2));
}

// The checkpoint's own template is the default; its closing tokens are kept too.
TEST(GroupEncoder, AnswerLengthsAreOneForEveryForm) {
  const GroupEncoder chatml = encoder("chatml", 8);  // lengths know nothing of the limit
  const std::string prompt = "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n";
  const std::vector<std::string> answers = {"It is four.<|im_end|>\n", "Five, I think<|im_end|>\n"};
  std::vector<int64_t> expected;
  for (const auto& answer : answers)
    expected.push_back(static_cast<int64_t>(tokenizer().encode(answer).size()));
  EXPECT_EQ(chatml.answer_lengths(record(kChat)), expected);

  PreferenceRecord ids, whole_ids;
  ids.is_ids = whole_ids.is_ids = true;
  ids.prompt_ids = tokenizer().encode(prompt);
  for (const auto& answer : answers) {
    ids.response_ids.push_back(tokenizer().encode(answer));
    whole_ids.response_ids.push_back(tokenizer().encode(prompt + answer));
  }
  EXPECT_EQ(chatml.answer_lengths(ids), expected);
  EXPECT_EQ(chatml.answer_lengths(whole_ids), expected);

  PreferenceRecord text, whole_text;  // EOS closes raw text: one more
  text.is_text = whole_text.is_text = true;
  text.prompt_text = prompt;
  for (const auto& answer : answers) {
    text.responses.push_back({{"assistant", answer}});
    whole_text.responses.push_back({{"assistant", prompt + answer}});
  }
  for (int64_t& length : expected) ++length;
  EXPECT_EQ(chatml.answer_lengths(text), expected);
  EXPECT_EQ(chatml.answer_lengths(whole_text), expected);
}

TEST(GroupEncoder, AnswerLengthsOfWhatCannotBeReadCountAllTokens) {
  PreferenceRecord ids;
  ids.is_ids = true;
  ids.response_ids = {{40, 41, 42}, {40}, {}};
  EXPECT_THAT(encoder().answer_lengths(ids), ElementsAre(3, 1, 0));
  EXPECT_THAT(GroupEncoder(std::nullopt, {}).answer_lengths(ids), ElementsAre(3, 1, 0));
  EXPECT_THROW(GroupEncoder(std::nullopt, {}).answer_lengths(record(kChat)), Error);
  // Only a user's turn: no answer to be found in it.
  const Tokens turn = tokenizer().encode("<|im_start|>user\nWhat is 2+2?<|im_end|>\n");
  ids.response_ids = {turn};
  EXPECT_THAT(encoder().answer_lengths(ids), ElementsAre(turn.size()));
}

TEST(GroupEncoder, CheckpointsTemplateRendersMessages) {
  const fs::path directory = fs::temp_directory_path() / fmt::format("dmoerm_template_{}", getpid());
  fs::create_directories(directory);
  fs::copy_file(DMOERM_TEST_DATA "/tokenizer-byte_level/tokenizer.json", directory / "tokenizer.json",
                fs::copy_options::overwrite_existing);
  write_file_atomically(
      directory / "chat_template.jinja",
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{{ '<think>\n"
      "</think>\n' }}{% endif %}{{ m.content | trim }}<|im_end|>{% endfor %}{% if "
      "add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}");
  const auto own = text::Tokenizer::load(directory);
  remove_tree(directory);
  const auto whole = GroupEncoder(own, {}).encode(record(kChat));
  EXPECT_EQ(whole.sequences[0],
            own.encode("<|im_start|>user\nWhat is 2+2?<|im_end|><|im_start|>assistant\n<think>\n</think>\n"
                       "It is four.<|im_end|>"));
  GroupEncoder cutting(own, {.max_tokens = 12});
  const auto cut = cutting.encode(record(R"({"prompt":[{"role":"user","content":"Hi"}],"responses":[")" +
                                         repeat("many words ", 50) + R"("]})"));
  const Tokens answer = own.encode("<think>\n</think>\n" + repeat("many words ", 50));
  EXPECT_EQ(Tokens(cut.sequences[0].begin(), cut.sequences[0].end() - 1),
            Tokens(answer.begin(), answer.begin() + 11));
  EXPECT_EQ(cut.sequences[0].back(), *own.token_id("<|im_end|>"));
  EXPECT_NE(cutting.fingerprint(),
            GroupEncoder(own, {.chat_format = "chatml", .max_tokens = 12}).fingerprint());
}

// Only messages need a format.
TEST(GroupEncoder, WithoutTemplateAFormatHasToBeNamed) {
  GroupEncoder none(tokenizer(), {});
  try {
    none.encode(record(kChat));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("record r: [chat format] the tokenizer has no chat template"));
    EXPECT_THAT(error.what(), HasSubstr("chat_format = \"chatml\""));
  }
  EXPECT_EQ(none.encode(record(R"({"prompt":"a","responses":["b"]})")).sequences.size(), 1u);
  EXPECT_FALSE(none.encode_router_input(record(kChat)).empty());
  EXPECT_EQ(none.chat_format_description(), "none, so that messages cannot be read");
}

TEST(MergeGroups, KeepsEveryRecordAndSharesEqualSequences) {
  GroupEncoder ids(std::nullopt, {});
  const auto merged = merge_groups({
      ids.encode(record(R"({"id":"a","prompt_ids":[1],"response_ids":[[2],[3]],"ranks":[1,2]})")),
      ids.encode(
          record(R"({"id":"b","prompt_ids":[1],"response_ids":[[3],[4],[2]],"ranks":[1,2,2],"margin":2})")),
  });
  EXPECT_THAT(merged.sequences, ElementsAre(Tokens{1, 2}, Tokens{1, 3}, Tokens{1, 4}));
  ASSERT_EQ(merged.records.size(), 2u);
  EXPECT_THAT(merged.records[1].sequence_of_answer, ElementsAre(1, 2, 0));
  std::vector<std::tuple<int32_t, int32_t, float>> edges;
  for (const Edge& edge : merged.edges) edges.emplace_back(edge.better, edge.worse, edge.margin);
  EXPECT_THAT(edges, ElementsAre(std::tuple(0, 1, 0.f), std::tuple(1, 2, 2.f), std::tuple(1, 0, 2.f)));
}

}  // namespace
}  // namespace dmoerm::data
