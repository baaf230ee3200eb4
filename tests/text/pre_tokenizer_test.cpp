// The parts of tokenizers: splitting, normalising, decoding, UTF-8.
#include "dmoerm/text/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dmoerm/text/byte_alphabet.h"
#include "dmoerm/text/normalizer.h"
#include "dmoerm/text/token_decoder.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::text {
namespace {

using Strings = std::vector<std::string>;

Strings split(const Json& json, const std::string& text, bool first = true) {
  const PreTokenizer pre_tokenizer = PreTokenizer::from_json(json, "test");
  const Words words = pre_tokenizer.split(text, first);
  return Strings(words.words.begin(), words.words.end());
}

// As documented for Hugging Face `tokenizers`: "the-final--countdown", split at '-'.
TEST(PreTokenizer, SetsInsideACharacterClassAreRefused) {
  const auto error_of_pattern = [](const std::string& pattern) -> std::string {
    try {
      PreTokenizer::from_json(
          {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}}, "file");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  for (const std::string pattern :
       {R"([\p{L}&&[^\p{Han}]]+)", R"([a[b]])", R"(x[^&&a])", R"([[:alpha:]&&a])"})
    EXPECT_NE(error_of_pattern(pattern).find("sets inside a character class"), std::string::npos) << pattern;
  for (const std::string pattern : {R"([\[&]&&[a-z])", R"([]&]+[^]x]|[[:alpha:]]&&)", R"(\[a[b]&&)",
                                    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~])"})
    EXPECT_EQ(error_of_pattern(pattern), "");
}

TEST(PreTokenizer, SplitBehaviors) {
  const auto with = [](const char* behavior, bool invert = false) {
    return split(
        {{"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", behavior}, {"invert", invert}},
        "the-final--countdown");
  };
  EXPECT_EQ(with("Removed"), (Strings{"the", "final", "countdown"}));
  EXPECT_EQ(with("Isolated"), (Strings{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(with("MergedWithPrevious"), (Strings{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(with("MergedWithNext"), (Strings{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(with("Contiguous"), (Strings{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(with("Removed", true), (Strings{"-", "-", "-"}));
}

TEST(PreTokenizer, Gpt2Pattern) {
  EXPECT_EQ(split({{"type", "ByteLevel"}, {"add_prefix_space", true}}, "I'll go 12km \n x"),
            (Strings{" I", "'ll", " go", " 12", "km", " \n", " x"}));
  EXPECT_TRUE(split({{"type", "ByteLevel"}}, "").empty());
}

TEST(PreTokenizer, Llama3Pattern) {
  const Json json = {
      {"type", "Split"},
      {"pattern",
       {{"Regex",
         R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}}},
      {"behavior", "Isolated"}};
  EXPECT_EQ(split(json, "He'S 12345 x=(\n\n  y"),
            (Strings{"He", "'S", " ", "123", "45", " x", "=(\n\n", " ", " y"}));
}

TEST(PreTokenizer, WhiteSpaceIsUnicodes) {
  const Json json = {{"type", "Split"}, {"pattern", {{"Regex", "\\s"}}}, {"behavior", "Removed"}};
  EXPECT_EQ(split(json, "a\u00a0b\u0085c\u3000d\u2028e"), (Strings{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(split(json, "a\u180eb\u200bc"), (Strings{"a\u180eb\u200bc"}));
}

TEST(PreTokenizer, MetaspaceSchemes) {
  const auto with = [](const char* scheme, bool first) {
    return split({{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}}, "a b", first);
  };
  EXPECT_EQ(with("always", false), (Strings{"▁a", "▁b"}));
  EXPECT_EQ(with("first", true), (Strings{"▁a", "▁b"}));
  EXPECT_EQ(with("first", false), (Strings{"a", "▁b"}));
  EXPECT_EQ(with("never", true), (Strings{"a", "▁b"}));
}

TEST(PreTokenizer, DigitsAndEmptyMatches) {
  EXPECT_EQ(split({{"type", "Digits"}, {"individual_digits", true}}, "a12b"), (Strings{"a", "1", "2", "b"}));
  EXPECT_EQ(split({{"type", "Digits"}}, "a12b"), (Strings{"a", "12", "b"}));
  EXPECT_EQ(split({{"type", "Split"}, {"pattern", {{"Regex", "x*"}}}, {"behavior", "Isolated"}}, "你x你"),
            (Strings{"你", "x", "你"}));
}

// Every case is from Unicode's NormalizationTest.txt.
TEST(Normalizer, Nfc) {
  EXPECT_EQ(normalize_nfc("e\u0301"), "é");
  EXPECT_EQ(normalize_nfc("\u1e0a\u0323"), "\u1e0c\u0307");
  EXPECT_EQ(normalize_nfc("\u212b"), "\u00c5");
  EXPECT_EQ(normalize_nfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(normalize_nfc("\ufb01"), "\ufb01");
  EXPECT_EQ(normalize_nfc(std::string("\0a", 2)), std::string("\0a", 2));
}

TEST(Decoder, ByteFallbackRuns) {
  const TokenDecoder decoder = TokenDecoder::from_json(
      {{"type", "Sequence"}, {"decoders", {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}}, "test");
  EXPECT_EQ(decoder.decode({"<0xE4>", "<0xBD>", "<0xA0>", "a"}), "你a");
  EXPECT_EQ(decoder.decode({"<0xE4>", "<0xBD>", "a", "<0x0G>"}), "\uFFFD\uFFFDa<0x0G>");
}

TEST(ByteAlphabet, CoversEveryByte) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    EXPECT_EQ(from_byte_alphabet(to_byte_alphabet(text)), text);
  }
  EXPECT_EQ(to_byte_alphabet(" \n"), "ĠĊ");
  EXPECT_EQ(from_byte_alphabet("\u4f60"), std::nullopt);
}

// The table of "U+FFFD substitution of maximal subparts" in the Unicode standard, section 3.9.
TEST(Utf8, RepairsMaximalParts) {
  EXPECT_EQ(repair_utf8("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64"),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  EXPECT_EQ(repair_utf8("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41");
  EXPECT_EQ(repair_utf8("\xf4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_TRUE(is_valid_utf8("\U0010ffff\u0080"));
  EXPECT_FALSE(is_valid_utf8("\xed\xbf\xbf"));
}

TEST(Utf8, Classes) {
  for (const char32_t c : {U'a', U'é', U'你', U'5', U'_', U'\u0301'}) EXPECT_TRUE(is_word_character(c));
  for (const char32_t c : {U' ', U'-', U'\u3000', U'😀'}) EXPECT_FALSE(is_word_character(c));
}

}  // namespace
}  // namespace dmoerm::text
