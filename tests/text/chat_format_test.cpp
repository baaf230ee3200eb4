// Chat formats against renderings that transformers' apply_chat_template gave.
#include "dmoerm/text/chat_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dmoerm/core/json.h"

namespace dmoerm::text {
namespace {

const Json& reference() {
  static const Json json = load_json(std::string(DMOERM_TEST_DATA) + "/chat_templates.json");
  return json;
}

std::vector<Message> messages_of(const Json& json) {
  std::vector<Message> messages;
  for (const Json& message : json) messages.push_back({message["role"], message["content"]});
  return messages;
}

const std::vector<Message> kTalk = {
    {"user", "Hi\nthere"}, {"assistant", "Hello!"}, {"user", "你好"}, {"assistant", ""}};

TEST(ChatFormat, EqualsTheReference) {
  ASSERT_FALSE(reference()["cases"].empty());
  for (const Json& item : reference()["cases"]) {
    const auto format = ChatFormat::named(item["template"]);
    const auto messages = messages_of(item["messages"]);
    if (item.contains("error")) {
      EXPECT_THROW(format.render(messages, item["add_generation_prompt"]), Error);
      continue;
    }
    const auto text = item["text"].get<std::string>();
    EXPECT_EQ(format.render(messages, item["add_generation_prompt"]), text) << format.name();
    const auto parsed = format.parse(text);
    ASSERT_TRUE(parsed.has_value()) << text;
    ASSERT_EQ(parsed->size(), messages.size()) << text;
    for (size_t i = 0; i < messages.size(); ++i) EXPECT_EQ((*parsed)[i].role, messages[i].role);
    EXPECT_EQ(format.render(*parsed, item["add_generation_prompt"]), text);
  }
}

TEST(ChatFormat, TemplatesAreTheReferencesOnes) {
  for (const auto& [name, text] : reference()["templates"].items())
    EXPECT_EQ(ChatFormat::named(name).chat_template(), text.get<std::string>());
}

TEST(ChatFormat, ParsesWhatItRenders) {
  for (const std::string& name : ChatFormat::names()) {
    const ChatFormat format = ChatFormat::named(name);
    const std::string text = format.render(kTalk);
    EXPECT_EQ(format.parse(text), kTalk) << name;
    EXPECT_TRUE(text.ends_with(format.turn_end())) << name;
    const std::span<const Message> question(kTalk.data(), 1);
    EXPECT_EQ(format.parse(format.render(question, true)),
              std::vector<Message>(kTalk.begin(), kTalk.begin() + 1))
        << name;
    // An answer that is not closed yet.
    const std::string open = format.render(question, true) + "Well";
    const auto parsed = format.parse(open);
    ASSERT_TRUE(parsed.has_value()) << name;
    EXPECT_EQ(parsed->back(), (Message{"assistant", "Well"})) << name;
  }
}

TEST(ChatFormat, PlainForm) {
  const ChatFormat plain = ChatFormat::named("plain");
  EXPECT_EQ(plain.render(std::vector<Message>{{"user", "Hi"}, {"assistant", "Hello"}}),
            "User:\nHi<|endoftext|>\nAssistant:\nHello<|endoftext|>\n");
  EXPECT_EQ(plain.render({}, true), "Assistant:\n");
  EXPECT_THROW(plain.render(std::vector<Message>{{"User:\n", "x"}}), Error);
}

TEST(ChatFormat, PlainTextIsNoTurns) {
  for (const std::string& name : ChatFormat::names()) {
    const ChatFormat format = ChatFormat::named(name);
    for (const char* text : {"", "just a text", "there <|im_end|>\n<|im_start|>user\ncut prompt",
                             "<|im_start|>user", "\n\n", "<|start_header_id|>x", "[INST] open"})
      EXPECT_FALSE(format.parse(text).has_value()) << name << ": " << text;
  }
}

TEST(ChatFormat, UnknownNamesAndRolesAreRefused) {
  try {
    ChatFormat::named("qwen3");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("chatml, qwen2, llama3, mistral, plain"));
  }
  EXPECT_THROW(ChatFormat::named("qwen2").render(std::vector<Message>{{"tool", "x"}}), Error);
  EXPECT_THROW(ChatFormat::named("mistral").render(std::vector<Message>{{"assistant", "x"}}), Error);
}

TEST(ChatFormat, Llama3TrimsAsJinja) {
  const ChatFormat format = ChatFormat::named("llama3");
  const auto content = [&](const char* text) {
    return format.parse(format.render(std::vector<Message>{{"user", text}}))->front().content;
  };
  EXPECT_EQ(content("\u3000 x y\u00a0\n\x1f"), "x y");
  EXPECT_EQ(content(" \n "), "");
  EXPECT_EQ(content("\u200b x"), "\u200b x");  // zero width space is no white space
  EXPECT_EQ(content("x \xe4"), "x \xe4");      // cut UTF-8 is left as it is
}

TEST(ChatFormat, PadIsNeverTheClosingToken) {
  for (const std::string& name : ChatFormat::names()) {
    const ChatFormat format = ChatFormat::named(name);
    const auto special = format.special_tokens();
    EXPECT_NE(format.pad_token(), format.eos_token()) << name;
    for (const std::string& token : {format.eos_token(), format.pad_token()})
      EXPECT_THAT(special, testing::Contains(token)) << name;
    EXPECT_TRUE(format.turn_end().starts_with(format.eos_token())) << name;
  }
}

}  // namespace
}  // namespace dmoerm::text
