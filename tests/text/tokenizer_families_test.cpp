// Published tokenizers of eight families against reference ids, where a folder with them is at hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "dmoerm/core/json.h"
#include "dmoerm/text/json_parts.h"
#include "dmoerm/text/normalizer.h"
#include "dmoerm/text/tokenizer.h"
#include "tests/text/random_text.h"
#include "tests/text/test_files.h"

namespace dmoerm::text {
namespace {

// A directory each, or a file in one: both vocab.json with merges.txt and tokenizer.json where there are
// both.
std::vector<std::string> families_at_hand() {
  if (std::getenv("DMOERM_SHARED") == nullptr) return {};
  return {"qwen2",   "qwen2/vocab.json", "gpt2",  "gpt2/vocab.json", "neox",
          "mixtral", "llama3",           "qwen1", "llama2",          "mistral_v3"};
}

class TokenizerFamily : public testing::TestWithParam<std::string> {
 protected:
  std::string family() const { return GetParam().substr(0, GetParam().find('/')); }
  // What the family's own normaliser and decoder make of a text.
  std::string normalized(const std::string& text) const {
    if (family() == "qwen1" || family() == "qwen2" || family() == "neox") return normalize_nfc(text);
    return is_sentence_piece() || family() == "mixtral" ? replace_all(text, "▁", " ") : text;
  }
  bool is_sentence_piece() const { return family() == "llama2" || family() == "mistral_v3"; }
  Tokenizer load() const { return Tokenizer::load(folder_ / GetParam()); }

  const fs::path folder_ = fs::path(std::getenv("DMOERM_SHARED")) / "tokenizers";
};

// "+special" in the reference: with tokenizer.json files, that special tokens were added, and left out in
// decoding; with rank files, that they were recognised. SentencePiece's own library, used for the rest, never
// recognises any.
TEST_P(TokenizerFamily, EqualsTheReference) {
  const Json reference = load_json(folder_ / "tokenizations.json");
  const Tokenizer tokenizer = load();
  for (const std::string& variant : {family(), family() + "+special"}) {
    if (!reference.contains(variant)) continue;
    const bool special = variant != family(), adds = special && family() != "llama3";
    const bool as_text = is_sentence_piece() || variant == "llama3";
    ASSERT_EQ(reference[variant].size(), 43);
    for (const Json& item : reference[variant]) {
      const auto text = item["text"].get<std::string>();
      const auto ids = item["ids"].get<std::vector<int32_t>>();
      EXPECT_EQ(as_text ? tokenizer.encode_as_text(text) : tokenizer.encode(text, adds), ids)
          << variant << ": " << text;
      EXPECT_EQ(tokenizer.decode(ids, adds), item["decoded"].get<std::string>()) << variant;
    }
  }
}

TEST_P(TokenizerFamily, RandomUnicodeRoundTrips) {
  const Tokenizer tokenizer = load();
  RandomStream random(11, "unicode");
  for (int round = 0; round < 10'000; ++round) {
    const std::string text = random_text(random);
    const auto ids = tokenizer.encode(text);
    ASSERT_EQ(tokenizer.decode(ids), normalized(text)) << "round " << round;
  }
}

TEST_P(TokenizerFamily, DecodesAnyIds) {
  const Tokenizer tokenizer = load();
  RandomStream random(12, "ids");
  for (int round = 0; round < 2000; ++round) {
    std::vector<int32_t> ids(random.below(30));
    for (int32_t& id : ids) id = static_cast<int32_t>(random.below(tokenizer.vocab_size() + 20)) - 10;
    ASSERT_TRUE(is_valid_utf8(tokenizer.decode(ids, round % 2 == 0)));
  }
}

TEST_P(TokenizerFamily, NeverTwoBos) {
  const Tokenizer tokenizer = load();
  const std::string begin = family() == "llama3" ? "<|begin_of_text|>" : "<s>";
  const bool has_bos = family() == "llama3" || family() == "mixtral" || is_sentence_piece();
  const auto plain = tokenizer.encode_rendered("Hello"),
             rendered = tokenizer.encode_rendered(begin + "Hello");
  EXPECT_EQ(plain, tokenizer.encode("Hello", true));
  if (has_bos) {
    const auto bos = tokenizer.token_id(begin);
    ASSERT_TRUE(bos);
    EXPECT_EQ(plain.front(), *bos);
    EXPECT_EQ(std::ranges::count(plain, *bos), 1);
    EXPECT_EQ(rendered.front(), *bos);
    EXPECT_EQ(std::ranges::count(rendered, *bos), 1);
  } else {
    EXPECT_EQ(plain, tokenizer.encode("Hello"));
    EXPECT_EQ(rendered, tokenizer.encode(begin + "Hello"));
  }
}

TEST_P(TokenizerFamily, LongWords) {  // quadratic merging would take minutes
  const Tokenizer tokenizer = load();
  RandomStream random(13, "words");
  std::string word;
  for (int i = 0; i < 200'000; ++i) word += "etaoinshr"[random.below(9)];
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(word)), word);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(std::string(100'000, 'a'))), std::string(100'000, 'a'));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(std::string(100'000, ' '))), std::string(100'000, ' '));
}

TEST_P(TokenizerFamily, SavedCopyIsEqual) {
  const TestDirectory directory;
  const Tokenizer tokenizer = load();
  tokenizer.save(directory.path() / "copy");
  EXPECT_TRUE(Tokenizer::present(directory.path() / "copy"));
  const Tokenizer copy = Tokenizer::load(directory.path() / "copy");
  EXPECT_EQ(copy.fingerprint(), tokenizer.fingerprint());
  EXPECT_EQ(copy.encode("The same <|im_end|></s> text", true),
            tokenizer.encode("The same <|im_end|></s> text", true));
}

TEST(TokenizerFamilies, AreAtHand) {
  if (families_at_hand().empty()) GTEST_SKIP() << "DMOERM_SHARED is not set";
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TokenizerFamily);
INSTANTIATE_TEST_SUITE_P(Real, TokenizerFamily, testing::ValuesIn(families_at_hand()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

}  // namespace
}  // namespace dmoerm::text
