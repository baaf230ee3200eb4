// Training a tokenizer: against a plain trainer that counts everything anew for each merge, and end to end.
#include "dmoerm/text/tokenizer_trainer.h"

#include <gtest/gtest.h>

#include <map>

#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"
#include "dmoerm/text/byte_alphabet.h"
#include "dmoerm/text/chat_format.h"
#include "dmoerm/text/text_reader.h"
#include "dmoerm/text/tokenizer.h"
#include "tests/text/test_files.h"

namespace dmoerm::text {
namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;

std::vector<std::string> merged(const std::vector<std::string>& symbols,
                                const std::pair<std::string, std::string>& pair) {
  std::vector<std::string> result;
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second) {
      result.push_back(symbols[i] + symbols[i + 1]);
      ++i;
    } else {
      result.push_back(symbols[i]);
    }
  }
  return result;
}

Merges naive_train(const WordCounts& counts, size_t num_tokens) {
  std::map<std::vector<std::string>, int64_t> words;
  for (const auto& [word, count] : counts) {
    std::vector<std::string> symbols;
    for (const char c : word) symbols.emplace_back(1, c);
    words[symbols] += count;
  }
  std::vector<std::string> alphabet(byte_alphabet().begin(), byte_alphabet().end());
  std::sort(alphabet.begin(), alphabet.end());
  std::map<std::string, size_t> age;
  for (const std::string& character : alphabet) age.emplace(*from_byte_alphabet(character), age.size());
  Merges merges;
  while (age.size() < 256 + num_tokens) {
    std::map<std::pair<std::string, std::string>, int64_t> pairs;
    for (const auto& [symbols, count] : words)
      for (size_t i = 0; i + 1 < symbols.size(); ++i) pairs[{symbols[i], symbols[i + 1]}] += count;
    const std::pair<const std::pair<std::string, std::string>, int64_t>* best = nullptr;
    const auto ages = [&](const auto& pair) { return std::pair(age.at(pair.first), age.at(pair.second)); };
    for (const auto& item : pairs) {
      if (item.second < 2) continue;
      if (best == nullptr || item.second > best->second ||
          (item.second == best->second && ages(item.first) < ages(best->first)))
        best = &item;
    }
    if (best == nullptr) break;
    if (std::find(merges.begin(), merges.end(), best->first) == merges.end()) merges.push_back(best->first);
    age.try_emplace(best->first.first + best->first.second, age.size());
    std::map<std::vector<std::string>, int64_t> next;
    for (const auto& [symbols, count] : words) next[merged(symbols, best->first)] += count;
    words = std::move(next);
  }
  return merges;
}

TEST(BpeTrainer, EqualsTheNaiveTrainer) {
  for (const uint64_t seed : {1, 2, 3, 4}) {
    RandomStream random(seed, "words");
    WordCounts words;
    const int letters = seed == 1 ? 2 : 5;  // two letters: many runs, tokens reached by several ways
    for (int i = 0; i < 150; ++i) {
      std::string word;
      for (uint64_t n = 1 + random.below(9); n > 0; --n)
        word += static_cast<char>('a' + random.below(letters));
      words[word] += 1 + static_cast<int64_t>(random.below(20));
    }
    EXPECT_EQ(train_bpe(words, 120), naive_train(words, 120)) << seed;
  }
}

TEST(BpeTrainer, StopsWhenNothingRepeats) {
  EXPECT_TRUE(train_bpe({{"abc", 1}}, 10).empty());
  EXPECT_EQ(train_bpe({{"ab", 2}}, 10), (Merges{{"a", "b"}}));
  EXPECT_TRUE(train_bpe({{"ab", 2}}, 0).empty());
  EXPECT_TRUE(train_bpe({}, 10).empty());
}

TEST(TokenizerTrainer, TrainedTokenizerReadsItsFormat) {
  std::string text;
  for (int i = 0; i < 50; ++i)
    text += "The quick brown fox don't jump over 123 lazy dogs.\n\nNaïve café 你好!\n";
  for (const std::string& name : ChatFormat::names()) {
    const TestDirectory directory;
    TokenizerTrainOptions options;
    options.inputs = {directory.write("in.txt", text)};
    options.output = directory.path() / "out";
    options.vocab_size = 300;
    options.chat_format = name;
    train_tokenizer(options);
    const Tokenizer tokenizer = Tokenizer::load(options.output);
    const ChatFormat format = ChatFormat::named(name);
    EXPECT_EQ(tokenizer.vocab_size(), 300);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
    EXPECT_LT(tokenizer.encode(text).size(), text.size() / 2);
    EXPECT_EQ(tokenizer.eos_id(), tokenizer.token_id(format.eos_token()));
    EXPECT_EQ(tokenizer.pad_id(), tokenizer.token_id(format.pad_token()));
    EXPECT_EQ(tokenizer.bos_id(), tokenizer.token_id(format.bos_token()));
    EXPECT_EQ(tokenizer.chat_template(), format.chat_template());
    for (const std::string& special : format.special_tokens())
      EXPECT_EQ(tokenizer.encode(special), std::vector<int32_t>{*tokenizer.token_id(special)}) << name;
    const std::string rendered = format.render(std::vector<Message>{{"user", "Hi"}, {"assistant", "fox"}});
    const auto ids = tokenizer.encode_rendered(rendered);
    EXPECT_EQ(tokenizer.decode(ids), rendered);
    if (!format.bos_token().empty()) {
      EXPECT_EQ(std::count(ids.begin(), ids.end(), *tokenizer.bos_id()), 1) << name;
      EXPECT_EQ(tokenizer.encode_rendered("Hi")[0], *tokenizer.bos_id()) << name;
    }
  }
}

TEST(TokenizerTrainer, MisuseIsRefused) {
  const TestDirectory directory;
  TokenizerTrainOptions options;
  options.output = directory.path() / "out";
  EXPECT_THROW(train_tokenizer(options), Error);  // no input
  options.inputs = {directory.write("empty.txt", "")};
  EXPECT_THROW(train_tokenizer(options), Error);
  options.inputs = {directory.write("in.txt", "some text")};
  options.vocab_size = 100;
  EXPECT_THROW(train_tokenizer(options), Error);
  options.vocab_size = 1000;
  options.chat_format = "none";
  EXPECT_THROW(train_tokenizer(options), Error);
  EXPECT_FALSE(fs::exists(options.output));
}

TEST(TextReader, TextsOfRecordsAndFiles) {
  const TestDirectory directory;
  const fs::path records = directory.write("a.jsonl",
                                           "{\"id\": \"no\", \"prompt\": [{\"role\": \"user\", \"content\": "
                                           "\"one\"}], \"responses\": [\"two\", \"three\"]}\n\n"
                                           "{\"score\": 3}\n{\"text\": \"four\"}\n");
  const fs::path text = directory.write("b.txt", "five\n\nsix\n");
  TextReader reader({records, text});
  std::vector<std::string> texts;
  for (std::string part; reader.next(part);) texts.push_back(part);
  EXPECT_EQ(texts, (std::vector<std::string>{"one", "two", "three", "four", "five\n\nsix\n"}));
  EXPECT_THROW(TextReader({}), Error);
  TextReader deep({directory.write("d.jsonl", std::string(200'000, '[') + std::string(200'000, ']') + "\n")});
  EXPECT_THROW(deep.next(texts[0]), Error);
  TextReader bad({directory.write("c.jsonl", "{\"text\": \"x\"}\n{\"text\"\n")});
  std::string part;
  EXPECT_TRUE(bad.next(part));
  try {
    bad.next(part);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("c.jsonl:2"));
  }
}

TEST(WordCounter, LongWordsAndInvalidBytes) {
  WordCounter counter = tokenizer_word_counter();
  counter.add(std::string(3000, 'a') + " \xff");
  int64_t bytes = 0;
  for (const auto& [word, count] : counter.counts()) {
    EXPECT_LE(word.size(), 1024);
    bytes += static_cast<int64_t>(word.size()) * count;
  }
  EXPECT_EQ(bytes, 3000 + 1 + 3);
}

}  // namespace
}  // namespace dmoerm::text
