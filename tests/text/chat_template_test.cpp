// Chat templates of checkpoints: renderings worked out by hand and by transformers, how their texts are read
// back, and where they come from.
#include "dmoerm/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "dmoerm/core/json.h"
#include "dmoerm/text/tokenizer.h"
#include "tests/text/chat_template_styles.h"
#include "tests/text/test_files.h"

namespace dmoerm::text {
namespace {

using testing::HasSubstr;
using Talk = std::vector<Message>;

const std::map<std::string, std::string> kTokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
const Talk kQuestion = {{"user", "Hi"}};
const Talk kTwoRounds = {
    {"user", "Hi"}, {"assistant", "Hello! "}, {"user", " Bye\n"}, {"assistant", "So long"}};
const Talk kWithSystem = {{"system", " Be brief. "}, {"user", "Hi"}};

ChatFormat format_of(const char* source) {
  return ChatFormat::from_template(source, kTokens);
}

template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ChatTemplate, EqualsTheReference) {
  const Json reference = load_json(std::string(DMOERM_TEST_DATA) + "/chat_templates.json");
  const std::map<std::string, std::string> llama3 = {{"bos_token", "<|begin_of_text|>"},
                                                     {"eos_token", "<|eot_id|>"}};
  size_t compared = 0;
  for (const Json& item : reference["cases"]) {
    const std::string name = item["template"];
    const auto format =
        ChatFormat::from_template(reference["templates"][name], name == "llama3" ? llama3 : kTokens);
    Talk messages;
    for (const Json& message : item["messages"]) messages.push_back({message["role"], message["content"]});
    if (item.contains("error")) {
      EXPECT_THROW(format.render(messages, item["add_generation_prompt"]), Error);
    } else {
      EXPECT_EQ(format.render(messages, item["add_generation_prompt"]), item["text"].get<std::string>())
          << name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 20u);
}

// The named formats' own templates say what the named formats do.
TEST(ChatTemplate, NamedFormatsEqualTheirTemplates) {
  for (const std::string& name : ChatFormat::names()) {
    const ChatFormat named = ChatFormat::named(name);
    const auto format = ChatFormat::from_template(
        named.chat_template(), {{"bos_token", named.bos_token()}, {"eos_token", named.eos_token()}});
    EXPECT_EQ(format.name(), "template");
    EXPECT_EQ(format.description(), "the checkpoint's template, read back as " + name);
    EXPECT_EQ(format.turn_end(), named.turn_end());
    for (const Talk& talk : {kQuestion, kTwoRounds})
      for (const bool open : {false, true})
        EXPECT_EQ(format.render(talk, open), named.render(talk, open)) << name;
    EXPECT_EQ(format.parse(format.render(kQuestion, true)), kQuestion) << name;
  }
}

TEST(ChatTemplate, Qwen25) {
  const ChatFormat format = format_of(styles::kQwen25);
  EXPECT_EQ(format.render(kQuestion, true),
            "<|im_start|>system\nYou are a model of the tests.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(format.render(kTwoRounds),
            "<|im_start|>system\nYou are a model of the tests.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\nHello! <|im_end|>\n<|im_start|>user\n Bye\n<|im_end|>\n"
            "<|im_start|>assistant\nSo long<|im_end|>\n");
  EXPECT_EQ(format.render(kWithSystem),
            "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\nHi<|im_end|>\n");
  EXPECT_EQ(format.render(Talk{{"user", "2+2"}, {"tool", "4"}, {"tool", "5"}}),
            "<|im_start|>system\nYou are a model of the tests.<|im_end|>\n<|im_start|>user\n2+2<|im_end|>\n"
            "<|im_start|>user\n<tool_response>\n4\n</tool_response>\n<tool_response>\n5\n</"
            "tool_response><|im_end|>\n");
  EXPECT_EQ(format.turn_end(), "<|im_end|>\n");
  EXPECT_EQ(format.parse(format.render(kTwoRounds)), kTwoRounds);  // without the system turn that it added
  EXPECT_EQ(format.parse(format.render(kWithSystem)), kWithSystem);
}

TEST(ChatTemplate, Qwen3) {
  const ChatFormat format = format_of(styles::kQwen3);
  EXPECT_EQ(format.render(kQuestion, true), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(format.render(kTwoRounds),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello! <|im_end|>\n"
            "<|im_start|>user\n Bye\n<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\nSo long<|im_end|>\n");
  const Talk thinking = {{"user", "a"},
                         {"assistant", "<think>\nhm\n</think>\n\nb"},
                         {"user", "c"},
                         {"assistant", "<think>\nwell, well\n</think>\n\nd"}};
  EXPECT_EQ(
      format.render(thinking),
      "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n"
      "<|im_start|>assistant\n<think>\nwell, well\n</think>\n\nd<|im_end|>\n");
  EXPECT_EQ(format.turn_end(), "<|im_end|>\n");
  EXPECT_EQ(format.description(), "the checkpoint's template, read back as chatml");
}

TEST(ChatTemplate, Llama31) {
  const ChatFormat format = format_of(styles::kLlama31);
  const std::string dates = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";
  const std::string system = "<s><|start_header_id|>system<|end_header_id|>\n\n" + dates;
  EXPECT_EQ(format.render(kQuestion, true),
            system +
                "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(format.render(kWithSystem),
            system + "Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>");
  EXPECT_EQ(format.render(kTwoRounds),
            system +
                "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>"
                "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\nSo long<|eot_id|>");
  EXPECT_EQ(format.turn_end(), "<|eot_id|>");
}

// With the BOS that the parser knows, its texts can be read back.
TEST(ChatTemplate, Llama31IsReadBack) {
  const auto format = ChatFormat::from_template(styles::kLlama31, {{"bos_token", "<|begin_of_text|>"}});
  EXPECT_EQ(format.description(), "the checkpoint's template, read back as llama3");
  EXPECT_EQ(format.parse(format.render(kQuestion, true)), kQuestion);
}

TEST(ChatTemplate, Mistral) {
  const ChatFormat format = format_of(styles::kMistral);
  EXPECT_EQ(format.render(kTwoRounds), "<s>[INST] Hi [/INST]Hello! </s>[INST]  Bye\n [/INST]So long</s>");
  EXPECT_EQ(format.render(kWithSystem), "<s>[INST]  Be brief. \n\nHi [/INST]");
  const std::string error = error_of([&] { format.render(Talk{{"assistant", "x"}}); });
  EXPECT_THAT(error, HasSubstr("[chat template] line 11: "));
  EXPECT_THAT(error, HasSubstr("After the optional system message, conversation roles must alternate"));
  EXPECT_THAT(error_of([&] {
                format.render(Talk{{"user", "x"}, {"tool", "y"}});
              }),
              HasSubstr("Only user and assistant"));
  EXPECT_EQ(format.turn_end(), "</s>");
}

TEST(ChatTemplate, Gemma) {
  const ChatFormat format = format_of(styles::kGemma);
  EXPECT_EQ(format.render(kTwoRounds, true),
            "<s><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello!<end_of_turn>\n"
            "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\nSo long<end_of_turn>\n"
            "<start_of_turn>model\n");
  EXPECT_THAT(error_of([&] { format.render(kWithSystem); }), HasSubstr("System role not supported"));
  EXPECT_EQ(format.turn_end(), "<end_of_turn>\n");
  EXPECT_EQ(format.description(), "the checkpoint's template, not read back");
  EXPECT_FALSE(format.parse(format.render(kQuestion)).has_value());
}

TEST(ChatTemplate, Zephyr) {
  const ChatFormat format = format_of(styles::kZephyr);
  EXPECT_EQ(format.render(kTwoRounds, true),
            "<|user|>\nHi</s>\n<|assistant|>\nHello! </s>\n<|user|>\n Bye\n</s>\n<|assistant|>\nSo long</s>\n"
            "<|assistant|>\n");
  EXPECT_EQ(format.turn_end(), "</s>\n");
}

TEST(ChatTemplate, WhatCannotBeRunSaysHowToNameAFormat) {
  const auto named = HasSubstr("name a format instead, as chat_format = \"chatml\"");
  const auto load = [](const char* source) { return error_of([&] { format_of(source); }); };
  EXPECT_THAT(load("a\n{% include 'x' %}"),
              testing::AllOf(HasSubstr("line 2: the tag \"include\" is not supported"), named));
  EXPECT_THAT(load("a\n\n{{ 1 + }}"), testing::AllOf(HasSubstr("line 3: unexpected '}}'"), named));
  const ChatFormat late = format_of("{{ messages | groupby('role') }}");
  EXPECT_THAT(error_of([&] { late.render(kQuestion); }),
              testing::AllOf(HasSubstr("line 1: the filter \"groupby\" is not supported"), named));
  const ChatFormat wrong = format_of("{{ messages[0].nothing.x }}");
  EXPECT_EQ(error_of([&] { wrong.render(kQuestion); }),
            "[chat template] line 1: 'dict object' has no attribute 'nothing'");
}

TEST(ChatTemplate, NoMessagesAndAwkwardOnes) {
  const ChatFormat format = format_of(styles::kQwen3);
  EXPECT_EQ(format.render({}, true), "<|im_start|>assistant\n");
  const std::string content = "{{ 7 * 7 }}{% for %}\n{# x #}<|im_end|>\xff";  // is text, never a template
  EXPECT_EQ(format.render(Talk{{"user", content}}), "<|im_start|>user\n" + content + "<|im_end|>\n");
}

// tokenizer.json of the fixture, with other files beside it.
class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest() { fs::copy(DMOERM_TEST_DATA "/tokenizer-byte_level/tokenizer.json", directory_.path()); }
  std::string rendered() const {
    const Tokenizer tokenizer = Tokenizer::load(directory_.path());
    const auto format = ChatFormat::find("template", &tokenizer);
    return format ? format->render(kQuestion) : "none";
  }
  TestDirectory directory_;
};

TEST_F(CheckpointTest, TemplateComesFromConfigurationListOrFile) {
  EXPECT_EQ(rendered(), "none");
  directory_.write("tokenizer_config.json", R"({"chat_template": "text"})");
  EXPECT_EQ(rendered(), "text");
  directory_.write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]})");
  EXPECT_EQ(rendered(), "yes");
  directory_.write("chat_template.jinja", "file {{ messages[0].content }}\n");
  EXPECT_EQ(rendered(), "file Hi");
}

TEST_F(CheckpointTest, ListWithoutDefaultIsNoTemplateAndOtherKindsAreErrors) {
  directory_.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "no"}]})");
  EXPECT_EQ(rendered(), "none");
  directory_.write("tokenizer_config.json", R"({"chat_template": 3})");
  EXPECT_THAT(error_of([&] { rendered(); }), HasSubstr("\"chat_template\" is a number"));
}

TEST_F(CheckpointTest, TemplateReadsTheSpecialTokensByName) {
  directory_.write(
      "chat_template.jinja",
      "{{ bos_token is defined }}|{{ eos_token }}|{{ unk_token }}|{{ pad_token }}|{{ cls_token }}");
  directory_.write(
      "tokenizer_config.json",
      R"({"bos_token": null, "eos_token": {"content": "<|im_end|>"}, "unk_token": "<|endoftext|>"})");
  EXPECT_EQ(rendered(), "False|<|im_end|>|<|endoftext|>||");
  directory_.write("special_tokens_map.json", R"({"pad_token": "<|endoftext|>"})");
  EXPECT_EQ(rendered(), "False|<|im_end|>|<|endoftext|>|<|endoftext|>|");
}

TEST_F(CheckpointTest, NamesAreCheckedAndOverrideTheTemplate) {
  directory_.write("chat_template.jinja", "own");
  const Tokenizer tokenizer = Tokenizer::load(directory_.path());
  EXPECT_EQ(ChatFormat::find("chatml", &tokenizer)->render(kQuestion), "<|im_start|>user\nHi<|im_end|>\n");
  EXPECT_FALSE(ChatFormat::find("template", nullptr).has_value());
  EXPECT_NO_THROW(ChatFormat::check_name("template"));
  EXPECT_THAT(
      error_of([] { ChatFormat::check_name("qwen3"); }),
      HasSubstr("\"qwen3\" is not known, expected template or one of chatml, qwen2, llama3, mistral, plain"));
}

// The template of Qwen 2's released tokenizer.
TEST(ChatTemplate, Qwen2sOwn) {
  const char* shared = std::getenv("DMOERM_SHARED");
  if (!shared) GTEST_SKIP() << "DMOERM_SHARED is not set";
  const Tokenizer tokenizer = Tokenizer::load(fs::path(shared) / "tokenizers" / "qwen2");
  const auto format = ChatFormat::find("template", &tokenizer);
  ASSERT_TRUE(format.has_value());
  EXPECT_EQ(format->description(), "the checkpoint's template, read back as qwen2");
  for (const Talk& talk : {kQuestion, kTwoRounds, kWithSystem})
    EXPECT_EQ(format->render(talk), ChatFormat::named("qwen2").render(talk));
}

}  // namespace
}  // namespace dmoerm::text
