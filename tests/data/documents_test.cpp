#include <gmock/gmock.h>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/data/documents.h"
#include "tests/core/temporary_directory.h"

namespace dmoerm::data {
namespace {

using ::testing::HasSubstr;

class DocumentsTest : public TemporaryDirectoryTest {
 protected:
  std::vector<Document> read(const std::string& content, const std::string& unit,
                             int64_t max_characters = 0) {
    write_file_atomically(directory_ / "file", content);
    std::vector<Document> documents;
    const text::ChatFormat format = text::ChatFormat::named("chatml");
    for_each_document({directory_ / "file", unit, max_characters}, &format,
                      [&](const Document& document) { documents.push_back(document); });
    return documents;
  }
};

TEST_F(DocumentsTest, EveryLineIsAText) {
  const auto documents = read("one\n\ntwo\n", "line");
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[1].text, "two");
  EXPECT_FALSE(documents[1].is_chat);
  EXPECT_NE(documents[0].key, documents[1].key);
}

TEST_F(DocumentsTest, MostCharactersAreCountedNotBytes) {
  EXPECT_EQ(read("ééé\nééé\nééé\n", "line", 6).size(), 2u);
  EXPECT_EQ(read("ééé\nééé\nééé\n", "line", 7).size(), 3u);
}

TEST_F(DocumentsTest, AFileComesInPiecesThatEndWithALine) {
  std::string content;
  for (int i = 0; i < 3000; ++i) content += "line number " + std::to_string(i) + "\n";
  std::string joined;
  const auto documents = read(content, "file");
  EXPECT_GT(documents.size(), 3u);
  for (const Document& document : documents) {
    EXPECT_EQ(document.text.back(), '\n');
    joined += document.text;
  }
  EXPECT_EQ(joined, content);
}

TEST_F(DocumentsTest, RecordsAreRenderedAndKeyedByTheirPrompt) {
  const auto documents = read(R"({"prompt": "p", "response": "a"}
{"prompt": "p", "response": "b"}
{"messages": [{"role": "user", "content": "q"}]}
{"text": "raw"}
)",
                              "records");
  ASSERT_EQ(documents.size(), 4u);
  EXPECT_EQ(documents[0].text, "<|im_start|>user\np<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n");
  EXPECT_EQ(documents[0].key, documents[1].key) << "both are held out, or neither";
  EXPECT_TRUE(documents[2].is_chat);
  EXPECT_EQ(documents[3].text, "raw");
}

TEST_F(DocumentsTest, ChatsAreKeyedByAllTurnsBeforeTheFirstAnswer) {
  const auto chat = [](const std::string& turns) {
    std::string messages;
    for (size_t at = 0; at < turns.size(); at += 2) {
      const std::string role = turns[at] == 's' ? "system" : turns[at] == 'u' ? "user" : "assistant";
      messages +=
          (at > 0 ? "," : "") + (R"({"role": ")" + role + R"(", "content": ")") + turns[at + 1] + "\"}";
    }
    return "{\"messages\": [" + messages + "]}\n";
  };
  const auto documents = read(chat("s1u2a3") + chat("s1u4a3") + chat("s1u2a5u6") + chat("u2a3") +
                                  chat("s1u2") + chat("a3u2") + chat("a5u2"),
                              "records");
  ASSERT_EQ(documents.size(), 7u);
  EXPECT_NE(documents[0].key, documents[1].key) << "they share the system turn only";
  EXPECT_EQ(documents[0].key, documents[2].key);
  EXPECT_EQ(documents[0].key, documents[4].key);
  EXPECT_EQ(documents[3].key, hash64("2")) << "as a prompt of text has it";
  EXPECT_NE(documents[5].key, documents[6].key);
}

TEST_F(DocumentsTest, BadRecordsAreNamedByLine) {
  for (const std::string bad : {"{\"prompt\": \"p\"}", "{\"messages\": []}", "{\"text\": 3}", "{"}) {
    EXPECT_THAT(error_of([&] { read("{\"text\": \"x\"}\n" + bad + "\n", "records"); }), HasSubstr("file:2"))
        << bad;
  }
}

TEST_F(DocumentsTest, StopsAfterTheStatedCharacters) {
  EXPECT_EQ(read("aaaa\nbbbb\ncccc\n", "line", 6).size(), 2u);
  EXPECT_TRUE(read("", "line").empty());
  EXPECT_TRUE(read("", "file").empty());
}

}  // namespace
}  // namespace dmoerm::data
