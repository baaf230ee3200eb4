// Tokenizers against reference ids that Hugging Face `tokenizers` gave.
#include "dmoerm/text/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/core/random.h"
#include "dmoerm/text/normalizer.h"
#include "dmoerm/text/utf8.h"
#include "tests/text/test_files.h"

namespace dmoerm::text {
namespace {

const fs::path kFixtures = DMOERM_TEST_DATA;

Tokenizer fixture(const std::string& kind) {
  return Tokenizer::load(kFixtures / ("tokenizer-" + kind));
}

TEST(Tokenizer, FixturesExact) {
  const Json reference = load_json(kFixtures / "tokenizations.json");
  for (const std::string kind : {"byte_level", "byte_fallback"}) {
    const Tokenizer tokenizer = fixture(kind);
    ASSERT_EQ(reference[kind].size(), 43);
    for (const Json& item : reference[kind]) {
      const auto text = item["text"].get<std::string>();
      const auto ids = item["ids"].get<std::vector<int32_t>>();
      EXPECT_EQ(tokenizer.encode(text), ids) << kind << ": " << text;
      EXPECT_EQ(tokenizer.encode(text, true), item["ids_with_special"].get<std::vector<int32_t>>())
          << kind << ": " << text;
      EXPECT_EQ(tokenizer.decode(ids), item["decoded"].get<std::string>()) << kind;
    }
  }
}

// Merges the pair of lowest rank, the leftmost of equals, again and again over strings.
std::vector<int32_t> naive_encode(const Json& model, std::vector<std::string> symbols) {
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (size_t i = 0; i < model["merges"].size(); ++i) ranks[model["merges"][i]] = i;
  while (true) {
    size_t best = ranks.size(), place = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto rank = ranks.find({symbols[i], symbols[i + 1]});
      if (rank == ranks.end() || rank->second >= best) continue;
      best = rank->second;
      place = i;
    }
    if (best == ranks.size()) break;
    symbols[place] += symbols[place + 1];
    symbols.erase(symbols.begin() + place + 1);
  }
  std::vector<int32_t> ids;
  for (const std::string& symbol : symbols) ids.push_back(model["vocab"][symbol]);
  return ids;
}

TEST(Tokenizer, MergesEqualTheNaiveOnes) {
  const Json model = load_json(kFixtures / "tokenizer-byte_level/tokenizer.json")["model"];
  const Tokenizer tokenizer = fixture("byte_level");
  RandomStream random(1, "words");
  for (int length : {1, 2, 3, 17, 100, 400}) {
    std::string word;
    std::vector<std::string> symbols;
    for (int i = 0; i < length; ++i) {
      word += "etaoinshr"[random.below(9)];
      symbols.emplace_back(1, word.back());
    }
    EXPECT_EQ(tokenizer.encode(word), naive_encode(model, symbols)) << word;
  }
}

TEST(Tokenizer, LongWordIsFast) {
  const Tokenizer tokenizer = fixture("byte_level");
  RandomStream random(2, "words");
  std::string word;
  for (int i = 0; i < 200'000; ++i) word += "etaoinshr"[random.below(9)];
  const auto begin = std::chrono::steady_clock::now();
  const auto ids = tokenizer.encode(word);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(tokenizer.decode(ids), word);
  EXPECT_LT(taken.count(), 5);  // about 0.1 s; a quadratic merge takes minutes
}

TEST(Tokenizer, RandomUnicodeRoundTrips) {
  const Tokenizer tokenizer = fixture("byte_level");
  RandomStream random(3, "unicode");
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (uint64_t i = random.below(60); i > 0; --i) {
      char32_t c = 0;
      do c = static_cast<char32_t>(random.below(random.chance(0.5) ? 0x250 : 0x110000));
      while ((c >= 0xd800 && c < 0xe000) || is_word_character(c) != random.chance(0.5));
      append_character(c, text);
    }
    const std::string decoded = tokenizer.decode(tokenizer.encode(text));
    EXPECT_EQ(tokenizer.encode(decoded), tokenizer.encode(text));
    EXPECT_EQ(decoded, normalize_nfc(text));  // this tokenizer's normaliser is NFC
  }
}

TEST(Tokenizer, InvalidUtf8BecomesReplacementCharacters) {
  const Tokenizer tokenizer = fixture("byte_level");
  const auto through = [&](std::string_view text) { return tokenizer.decode(tokenizer.encode(text)); };
  EXPECT_EQ(through("a\xff"), "a\uFFFD");
  EXPECT_EQ(through("\xed\xa0\x80z"), "\uFFFD\uFFFD\uFFFDz");  // a lone surrogate
  EXPECT_EQ(through("\xf0\x9f\x98"), "\uFFFD");                // a cut emoji
  EXPECT_EQ(through(std::string_view("\0x", 2)), std::string_view("\0x", 2));
}

TEST(Tokenizer, DecodingNeverFails) {
  const Tokenizer tokenizer = fixture("byte_level");
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{-1, 1 << 30}), "\uFFFD\uFFFD");
  EXPECT_EQ(tokenizer.decode({}), "");
  const int32_t end = *tokenizer.token_id("<|im_end|>");
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{end}), "<|im_end|>");
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{end}, true), "");
}

TEST(Tokenizer, SpecialTokensAndRoles) {
  const Tokenizer tokenizer = fixture("byte_level");
  EXPECT_EQ(tokenizer.vocab_size(), 640);
  EXPECT_EQ(tokenizer.encode("<|im_start|><|im_end|>"), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(tokenizer.token_id("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer.eos_id(), 2);
  EXPECT_EQ(fixture("byte_fallback").bos_id(), 1);
}

TEST(Tokenizer, NeverTwoBos) {
  const Tokenizer tokenizer = fixture("byte_fallback");
  const auto ids = tokenizer.encode_rendered("hi");
  EXPECT_EQ(ids, tokenizer.encode("hi", true));
  EXPECT_EQ(ids[0], 1);
  const auto rendered = tokenizer.encode_rendered("<s>[INST] hi [/INST]");
  EXPECT_EQ(rendered, tokenizer.encode("<s>[INST] hi [/INST]", false));
  EXPECT_EQ(std::count(rendered.begin(), rendered.end(), 1), 1);
}

TEST(Tokenizer, SavedCopyIsEqual) {
  const TestDirectory directory;
  const Tokenizer tokenizer = fixture("byte_level");
  tokenizer.save(directory.path() / "copy");
  const Tokenizer copy = Tokenizer::load(directory.path() / "copy");
  EXPECT_EQ(copy.fingerprint(), tokenizer.fingerprint());
  EXPECT_NE(copy.fingerprint(), fixture("byte_fallback").fingerprint());
  EXPECT_EQ(copy.encode("the same text"), tokenizer.encode("the same text"));
}

TEST(Tokenizer, EncodesFromManyThreads) {
  const Tokenizer tokenizer = fixture("byte_level");
  std::vector<std::vector<int32_t>> results(4);
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += fmt::format("word{} ", i % 7000);
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) threads.emplace_back([&] { result = tokenizer.encode(text); });
  }
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
  EXPECT_EQ(tokenizer.decode(results[0]), text);
}

TEST(Tokenizer, AddedTokensHonourTheirFlags) {
  Json json = load_json(kFixtures / "tokenizer-byte_level/tokenizer.json");
  const auto add = [&](int id, const char* content, const char* flag) {
    Json token = {{"id", id}, {"content", content}, {"special", true}, {"normalized", false}};
    token[flag] = true;
    json["added_tokens"].push_back(token);
  };
  add(640, "[L]", "lstrip");
  add(641, "[R]", "rstrip");
  add(642, "word", "single_word");
  add(643, "Caf\u00e9", "normalized");
  const TestDirectory directory;
  const fs::path file = directory.write("tokenizer.json", json.dump());
  const Tokenizer tokenizer = Tokenizer::load(file);
  const auto a = tokenizer.encode("a"), b = tokenizer.encode("b");
  EXPECT_EQ(tokenizer.encode("a \n[L]b"), (std::vector<int32_t>{a[0], 640, b[0]}));
  EXPECT_EQ(tokenizer.encode("a[R]\u3000 b"), (std::vector<int32_t>{a[0], 641, b[0]}));
  EXPECT_EQ(tokenizer.encode("[R] [L]"), (std::vector<int32_t>{641, 640}));
  EXPECT_EQ(tokenizer.encode("word"), (std::vector<int32_t>{642}));
  EXPECT_EQ(tokenizer.encode("[word]").size(), 3);
  const auto swords = tokenizer.encode("swords");
  EXPECT_EQ(std::count(swords.begin(), swords.end(), 642), 0);
  EXPECT_EQ(tokenizer.encode("Cafe\u0301"), (std::vector<int32_t>{643}));
  EXPECT_EQ(tokenizer.vocab_size(), 644);
}

TEST(Tokenizer, IgnoreMergesTakesWholeWords) {  // as Llama 3
  Json json = load_json(kFixtures / "tokenizer-byte_level/tokenizer.json");
  json["model"]["vocab"]["zqzq"] = 640;
  const TestDirectory directory;
  EXPECT_GT(Tokenizer::load(directory.write("a.json", json.dump())).encode("zqzq").size(), 1);
  json["model"]["ignore_merges"] = true;
  const Tokenizer tokenizer = Tokenizer::load(directory.write("b.json", json.dump()));
  EXPECT_EQ(tokenizer.encode("zqzq"), (std::vector<int32_t>{640}));
  EXPECT_EQ(tokenizer.encode("The fox"), fixture("byte_level").encode("The fox"));
}

std::string load_error(const fs::path& path) {
  try {
    Tokenizer::load(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Tokenizer, DamagedFilesAreRefused) {
  const TestDirectory directory;
  const std::string whole = read_file(kFixtures / "tokenizer-byte_level/tokenizer.json");
  EXPECT_THAT(load_error(directory.path()), testing::HasSubstr("holds no tokenizer.json,"));
  EXPECT_THAT(load_error(directory.path() / "absent.json"), testing::HasSubstr("absent.json"));
  for (const size_t size : {size_t{0}, size_t{1}, whole.size() / 2, whole.size() - 2})
    EXPECT_THAT(load_error(directory.write("cut.json", whole.substr(0, size))),
                testing::HasSubstr("not valid JSON"));

  const Json good = parse_json(whole, "tokenizer");
  const auto expect_error = [&](const std::string& pointer, const Json& value, const std::string& message) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    const std::string error = load_error(directory.write("bad.json", bad.dump()));
    EXPECT_THAT(error, testing::HasSubstr(message)) << pointer;
    EXPECT_THAT(error, testing::HasSubstr("bad.json"));
    EXPECT_EQ(error.find('\n'), std::string::npos);
  };
  expect_error("", 5, "expected an object");
  expect_error("/model", Json::array(), "expected an object");
  expect_error("/model/type", "Unigram", "\"Unigram\" is not supported");
  expect_error("/model/vocab", Json::array(), "\"vocab\" is a list");
  expect_error("/model/vocab/a", "x", "expected a whole number");
  expect_error("/model/vocab/a", -4, "is -4");
  expect_error("/model/vocab/a", int64_t{1} << 62, "is 4611686018427387904");
  expect_error("/model/merges", "x", "\"merges\" is a string");
  expect_error("/model/merges/3", "one", "merges[3] is not a pair");
  expect_error("/model/merges/3", {"e", "nowhere"}, "merges[3] needs the token \"nowhere\"");
  expect_error("/model/merges/3", {"r", "e~"}, "merges[3]");
  expect_error("/model/unk_token", "<nix>", "\"<nix>\", which the vocabulary lacks");
  expect_error("/model/dropout", 0.5, "dropout");
  expect_error("/model/end_of_word_suffix", "</w>", "end_of_word_suffix");
  expect_error("/normalizer", {{"type", "BertNormalizer"}}, "\"BertNormalizer\" is not supported");
  expect_error("/pre_tokenizer", {{"type", "Whitespace"}}, "\"Whitespace\" is not supported");
  expect_error("/pre_tokenizer/pretokenizers/0/pattern/Regex", "(", "not a valid regular expression");
  expect_error("/pre_tokenizer/pretokenizers/0/behavior", "Shuffled", "\"Shuffled\"");
  expect_error("/decoder", {{"type", "WordPiece"}}, "\"WordPiece\" is not supported");
  expect_error("/post_processor", {{"type", "BertProcessing"}}, "\"BertProcessing\" is not supported");
  expect_error("/post_processor", {{"type", "TemplateProcessing"}, {"single", Json::array()}}, "template");
  expect_error("/added_tokens", 3, "expected a list");
  expect_error("/added_tokens/0", 3, "is missing");
  expect_error("/added_tokens/0/id", 2'000'000'000, "has the id 2000000000");
  expect_error("/added_tokens/0/id", 7, "in the vocabulary");
  expect_error("/added_tokens/0/content", "", "empty");
}

TEST(Tokenizer, RandomDamageNeverCrashes) {
  const TestDirectory directory;
  const std::string whole = read_file(kFixtures / "tokenizer-byte_fallback/tokenizer.json");
  RandomStream random(4, "damage");
  int refused = 0;
  for (int round = 0; round < 60; ++round) {
    std::string damaged = whole;
    for (int i = 0; i < 3; ++i) damaged[random.below(damaged.size())] = "0\"{}[],:x-\xff"[random.below(12)];
    try {
      const Tokenizer tokenizer = Tokenizer::load(directory.write("damaged.json", damaged));
      tokenizer.decode(tokenizer.encode("A text, <s>你好\xff", true));
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("damaged.json"));
      ++refused;
    }
  }
  EXPECT_GT(refused, 30);
}

TEST(Tokenizer, DeepNestingNeverCrashes) {
  const TestDirectory directory;
  const Json good = load_json(kFixtures / "tokenizer-byte_fallback/tokenizer.json");
  const std::map<std::string, std::string> lists = {{"normalizer", "normalizers"},
                                                    {"pre_tokenizer", "pretokenizers"},
                                                    {"decoder", "decoders"},
                                                    {"post_processor", "processors"}};
  const auto nested = [&](const std::string& key, const std::string& list, int depth) {
    std::string open, close;
    for (int i = 0; i < depth; ++i) {
      open += "{\"type\":\"Sequence\",\"" + list + "\":[";
      close += "]}";
    }
    std::string text = good.dump();
    const std::string field = fmt::format("\"{}\":{}", key, good[key].dump());
    text.replace(text.find(field), field.size(), fmt::format("\"{}\":{}{}", key, open, close));
    return directory.write("deep.json", text);
  };
  for (const auto& [key, list] : lists) {
    EXPECT_FALSE(Tokenizer::load(nested(key, list, 400)).encode("a").empty()) << key;
    EXPECT_THAT(load_error(nested(key, list, 20'000)), testing::HasSubstr("deep in each other")) << key;
  }
}

TEST(Tokenizer, DamagedSideFilesAreRefused) {
  const TestDirectory directory;
  directory.write("tokenizer.json", read_file(kFixtures / "tokenizer-byte_level/tokenizer.json"));
  directory.write("tokenizer_config.json", "[]");
  EXPECT_THAT(load_error(directory.path()), testing::HasSubstr("tokenizer_config.json"));
  directory.write("tokenizer_config.json", R"({"eos_token": 5})");
  EXPECT_THAT(load_error(directory.path()), testing::HasSubstr("\"eos_token\" is a whole number"));
  directory.write("tokenizer_config.json",
                  R"({"eos_token": {"content": "<|endoftext|>"}, "pad_token": null})");
  const Tokenizer tokenizer = Tokenizer::load(directory.path());
  EXPECT_EQ(tokenizer.eos_id(), 0);
  EXPECT_EQ(tokenizer.pad_id(), std::nullopt);
}

TEST(Tokenizer, HugeAndEmptyTexts) {
  for (const std::string kind : {"byte_level", "byte_fallback"}) {
    const Tokenizer tokenizer = fixture(kind);
    EXPECT_TRUE(tokenizer.encode("").empty());
    for (const char* unit : {" ", "\n", "a", "!", "\u4f60"}) {
      std::string text;
      for (int i = 0; i < 100'000; ++i) text += unit;
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << kind << " " << unit;
    }
  }
}

}  // namespace
}  // namespace dmoerm::text
