// The kinds of tokenizer files beside tokenizer.json, small ones: SentencePiece models that its own library
// wrote and encoded with, rank files and vocab.json with merges.txt made from a tokenizer.json.
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <map>
#include <set>

#include "dmoerm/core/json.h"
#include "dmoerm/text/byte_alphabet.h"
#include "dmoerm/text/normalizer.h"
#include "dmoerm/text/tokenizer.h"
#include "tests/text/random_text.h"
#include "tests/text/test_files.h"

namespace dmoerm::text {
namespace {

using Ids = std::vector<int32_t>;
const fs::path kData = DMOERM_TEST_DATA;

std::string refusal(const fs::path& path) {
  try {
    Tokenizer::load(path);
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "no error";
}

std::string sentence_piece_bytes(const std::string& kind = "bpe") {
  return read_file(kData / ("tokenizer-sentencepiece_" + kind) / "tokenizer.model");
}

Json byte_level_json() {
  return load_json(kData / "tokenizer-byte_level/tokenizer.json");
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text += i + k <= bytes.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

// The fixture's vocabulary as a rank file; its ids grow in the order of its merges. The bytes that it lacks
// follow from 640 on.
std::string rank_file() {
  std::map<int32_t, std::string> tokens;
  std::set<std::string> known;
  const Json vocabulary = byte_level_json()["model"]["vocab"];
  for (const auto& [token, id] : vocabulary.items()) {
    if (id <= 2) continue;  // special
    tokens[id] = *from_byte_alphabet(token);
    known.insert(tokens[id]);
  }
  for (int byte = 0, id = 640; byte < 256; ++byte)
    if (const std::string token(1, static_cast<char>(byte)); known.count(token) == 0) tokens[id++] = token;
  std::string text;
  for (const auto& [id, token] : tokens) text += fmt::format("{} {}\n", base64(token), id);
  return text;
}

constexpr const char* kQwenConfig = R"({"tokenizer_class": "QWenTokenizer", "added_tokens_decoder": {
  "0": {"content": "<|endoftext|>", "special": true}, "1": {"content": "<|im_start|>", "special": true},
  "2": {"content": "<|im_end|>", "special": true}}})";

void write_vocab_merges(const TestDirectory& directory) {
  const Json model = byte_level_json()["model"];
  std::string merges = "#version: 0.2\n";
  for (const Json& merge : model["merges"])
    merges += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
  directory.write("vocab.json", model["vocab"].dump());
  directory.write("merges.txt", merges);
}

// `all_bytes`: the tokenizer has the bytes that the fixture lacks and leaves out of a text.
void expect_byte_level_reference(const Tokenizer& tokenizer, bool all_bytes) {
  int compared = 0;
  const Json reference = load_json(kData / "tokenizations.json")["byte_level"];
  for (const Json& item : reference) {
    const auto text = item["text"].get<std::string>(), decoded = item["decoded"].get<std::string>();
    EXPECT_EQ(tokenizer.decode(item["ids"].get<Ids>()), decoded);
    if (all_bytes && normalize_nfc(text) != decoded) continue;
    EXPECT_EQ(tokenizer.encode(text), item["ids"].get<Ids>()) << text;
    ++compared;
  }
  EXPECT_GT(compared, 20);
}

// Encodes, decodes and saves as any tokenizer does.
void expect_sound(const Tokenizer& tokenizer, bool exact) {
  RandomStream random(5, "kinds");
  for (int round = 0; round < 500; ++round) {
    const std::string text = random_text(random);
    const std::string decoded = tokenizer.decode(tokenizer.encode(text));
    if (exact) {
      EXPECT_EQ(tokenizer.encode(decoded), tokenizer.encode(text));
    }
    Ids ids(random.below(20));
    for (int32_t& id : ids) id = static_cast<int32_t>(random.below(tokenizer.vocab_size() + 20)) - 10;
    EXPECT_TRUE(is_valid_utf8(tokenizer.decode(ids)));
  }
  EXPECT_EQ(tokenizer.encode("a\xff"), tokenizer.encode("a\uFFFD"));
  EXPECT_TRUE(tokenizer.encode("").empty());
  const TestDirectory directory;
  tokenizer.save(directory.path() / "copy");
  const Tokenizer copy = Tokenizer::load(directory.path() / "copy");
  EXPECT_EQ(copy.fingerprint(), tokenizer.fingerprint());
  EXPECT_EQ(copy.encode("Reward models <s>", true), tokenizer.encode("Reward models <s>", true));
}

TEST(SentencePiece, EqualsItsLibrary) {
  for (const std::string kind : {"bpe", "unigram"}) {
    const fs::path folder = kData / ("tokenizer-sentencepiece_" + kind);
    const Tokenizer tokenizer = Tokenizer::load(folder);
    const int32_t unknown = *tokenizer.token_id("<unk>");
    const Json reference = load_json(folder / "expected.json");
    ASSERT_EQ(reference.size(), 50);
    for (const Json& item : reference) {
      const auto text = item["text"].get<std::string>();
      const auto ids = item["ids"].get<Ids>();
      EXPECT_EQ(tokenizer.encode_as_text(text), ids) << kind << ": " << text;
      // The library writes " ⁇ " for <unk>.
      if (std::ranges::count(ids, unknown) == 0) {
        EXPECT_EQ(tokenizer.decode(ids), item["decoded"].get<std::string>()) << kind;
      }
      expect_sound(tokenizer, kind == "bpe");
    }
  }
}

TEST(SentencePiece, SpecialTokensAndTheirSettings) {
  const TestDirectory directory;
  directory.write("tokenizer.model", sentence_piece_bytes());
  const auto with = [&](const char* config) {
    directory.write("tokenizer_config.json", config);
    return Tokenizer::load(directory.path());
  };
  const Tokenizer plain = with("{}");
  const int32_t bos = *plain.bos_id(), eos = *plain.eos_id();
  const auto concat = [](Ids a, const Ids& b) { return a.insert(a.end(), b.begin(), b.end()), a; };
  const Ids text = plain.encode("text"), as_continued = with(R"({"legacy": false})").encode("<s>text");
  EXPECT_EQ(plain.encode("text", true), concat({bos}, text));
  EXPECT_EQ(plain.encode_rendered("<s>text"), concat({bos}, text));
  EXPECT_EQ(plain.encode_rendered("text"), concat({bos}, text));
  EXPECT_EQ(plain.encode("<s>text</s>"), concat(concat({bos}, text), {eos}));
  EXPECT_EQ(plain.decode(plain.encode("<s>text</s>"), true), "text");
  // Not legacy: no space is put in front of what stands behind a special token.
  EXPECT_NE(as_continued, concat({bos}, text));
  EXPECT_EQ(plain.decode(as_continued), "<s>text");
  EXPECT_EQ(with(R"({"legacy": false})").encode("text"), text);

  EXPECT_EQ(with(R"({"add_bos_token": false})").encode("text", true), text);
  const Tokenizer both = with(R"({"add_eos_token": true, "eos_token": {"content": "</s>"}})");
  EXPECT_EQ(both.encode("text", true), concat(concat({bos}, text), {eos}));
  EXPECT_EQ(both.encode_rendered("text</s>"), concat(concat({bos}, text), {eos}));
  EXPECT_EQ(both.encode_rendered("<s>text"), concat({bos}, text));
  EXPECT_EQ(with(R"({"bos_token": null})").encode("text", true), text);
  directory.write("tokenizer_config.json", R"({"bos_token": null, "add_bos_token": true})");
  EXPECT_THAT(refusal(directory.path()), testing::HasSubstr("\"add_bos_token\" is true"));
  directory.write("tokenizer_config.json", R"({"add_bos_token": "yes"})");
  EXPECT_THAT(refusal(directory.path()), testing::HasSubstr("\"add_bos_token\" is a string"));
}

TEST(SentencePiece, FurtherTokens) {
  const TestDirectory directory;
  directory.write("tokenizer.model", sentence_piece_bytes());
  directory.write("added_tokens.json", R"({"<pad>": 500, "<more>": 501})");
  directory.write("special_tokens_map.json", R"({"pad_token": "<pad>"})");
  const Tokenizer older = Tokenizer::load(directory.path());
  EXPECT_EQ(older.pad_id(), 500);
  EXPECT_EQ(older.encode("<pad><more>"), (Ids{500, 501}));
  EXPECT_EQ(older.decode(Ids{500, 501}, true), "<more>");
  directory.write("tokenizer_config.json",
                  R"({"added_tokens_decoder": {"500": {"content": "<|x|>", "special": true}}})");
  EXPECT_EQ(Tokenizer::load(directory.path()).encode("<|x|>"), (Ids{500}));
  for (const char* bad :
       {R"({"added_tokens_decoder": []})", R"({"added_tokens_decoder": {"x": {"content": "a"}}})",
        R"({"added_tokens_decoder": {"500": 1}})", R"({"added_tokens_decoder": {"500": {}}})",
        R"({"added_tokens_decoder": {"99999999999": {"content": "a"}}})",
        R"({"added_tokens_decoder": {"2000000000": {"content": "a"}}})"}) {
    directory.write("tokenizer_config.json", bad);
    EXPECT_THAT(refusal(directory.path()), testing::HasSubstr("added_tokens")) << bad;
  }
}

TEST(SentencePiece, DamagedFilesAreRefused) {
  const TestDirectory directory;
  const std::string whole = sentence_piece_bytes("unigram");
  for (size_t size = 0; size < whole.size(); size += 97) {
    const std::string error = refusal(directory.write("tokenizer.model", whole.substr(0, size)));
    if (error != "no error") {
      EXPECT_THAT(error, testing::HasSubstr("tokenizer.model")) << size;
    }
  }
  const auto expect_error = [&](const std::string& bytes, const char* message) {
    EXPECT_THAT(refusal(directory.write("tokenizer.model", bytes)), testing::HasSubstr(message));
  };
  const auto field = [](char key, const std::string& value) {
    return std::string{key, static_cast<char>(value.size())} + value;
  };
  const std::string unknown = field('\x0a', "\x0a\x05<unk>\x18\x02"), a = field('\x0a',
                                                                                "\x0a\x01"
                                                                                "a");
  EXPECT_EQ(refusal(directory.write("tokenizer.model", unknown + a)), "no error");
  expect_error("", "holds no pieces");
  expect_error("no model at all", "damaged or no SentencePiece model");
  expect_error(a, "no piece stands for unknown text");
  expect_error(unknown + field('\x0a', "\x0a\x04<un2\x18\x02"), "both stand for unknown text");
  expect_error(unknown + a + a, "piece 2 is an earlier one too");
  expect_error(unknown + field('\x0a', "\x18\x01"), "piece 1 is empty");
  expect_error(unknown + field('\x0a', "\x0a\x01x\x18\x09"), "has the type 9");
  expect_error(unknown + a + field('\x12', "\x18\x03"), "model type is 3");
  expect_error(unknown + a + field('\x12', "\x98\x02\x01"), "no piece for the byte 0x00");
  expect_error(unknown + a + field('\x12', "\xc0\x01\x01"), "treat_whitespace_as_suffix");
  expect_error(unknown + a + field('\x1a', "\x12\x03xyz"), "map of characters is damaged");
}

TEST(RankFile, EqualsTheTokenizerItWasMadeFrom) {
  const TestDirectory directory;
  directory.write("some.tiktoken", rank_file());
  directory.write("tokenizer_config.json", kQwenConfig);
  const Tokenizer tokenizer = Tokenizer::load(directory.path());
  EXPECT_EQ(tokenizer.eos_id(), 2);
  expect_byte_level_reference(tokenizer, true);
  expect_sound(tokenizer, true);
  std::string word;
  RandomStream random(6, "words");
  for (int i = 0; i < 200'000; ++i) word += "etaoinshr"[random.below(9)];
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(word)), word);
}

TEST(RankFile, PresetsAreChosenByClassNameAndFile) {
  const TestDirectory directory;
  directory.write("qwen.tiktoken", rank_file());
  const Tokenizer qwen = Tokenizer::load(directory.path());
  const int32_t first = *qwen.token_id("<|endoftext|>");
  EXPECT_EQ(qwen.token_id("<|extra_204|>"), first + 207);
  EXPECT_EQ(qwen.vocab_size(), first + 208);
  EXPECT_EQ(qwen.encode_rendered("<|im_start|>"), (Ids{first + 1}));

  const TestDirectory llama;
  llama.write("tokenizer.model", rank_file());
  EXPECT_THAT(refusal(llama.path()), testing::HasSubstr("tokens: how text is split is not known"));
  EXPECT_THAT(refusal(llama.path()), testing::HasSubstr("QWenTokenizer (151643 tokens"));
  llama.write("tokenizer_config.json", R"({"tokenizer_class": "CohereTokenizerFast"})");
  EXPECT_THAT(refusal(llama.path()), testing::HasSubstr("of the class \"CohereTokenizer\""));
  llama.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer"})");
  const Tokenizer tokenizer = Tokenizer::load(llama.path());
  EXPECT_EQ(tokenizer.bos_id(), first);
  EXPECT_EQ(tokenizer.token_id("<|eot_id|>"), first + 9);
  EXPECT_EQ(tokenizer.vocab_size(), first + 256);
  EXPECT_EQ(tokenizer.encode("a", true).front(), first);
  EXPECT_EQ(tokenizer.encode_rendered("<|begin_of_text|>a"), tokenizer.encode("a", true));
}

TEST(RankFile, DamagedFilesAreRefused) {
  const TestDirectory directory;
  directory.write("tokenizer_config.json", kQwenConfig);
  const std::string whole = rank_file();
  const auto expect_error = [&](const std::string& text, const char* message) {
    const std::string error = refusal(directory.write("x.tiktoken", text));
    EXPECT_THAT(error, testing::HasSubstr(message));
    EXPECT_THAT(error, testing::HasSubstr("x.tiktoken"));
  };
  expect_error("", "the byte 0x00 has no rank");
  expect_error(whole.substr(0, whole.size() / 4), "");
  expect_error("IQ== 0\n?Q== 1\n", "x.tiktoken:2] expected a token in base64");
  expect_error("IQ==\n", "x.tiktoken:1]");
  expect_error("IQ== -1\n", "x.tiktoken:1]");
  expect_error("IQ== 1x\n", "x.tiktoken:1]");
  expect_error(whole + "IQ== 9000\n", "the token stands in an earlier line");
  expect_error(whole + base64("zqzqzq") + " 5\n", "the rank 5 stands in an earlier line");
  expect_error(whole + base64("zqzqzq") + " 4000000000\n", "the rank is 4000000000");
}

TEST(VocabMerges, EqualsTheTokenizerItWasMadeFrom) {
  const TestDirectory directory;
  write_vocab_merges(directory);
  EXPECT_THAT(refusal(directory.path()), testing::HasSubstr("640 tokens: how text is split is not known"));
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer", "bos_token": null})");
  const Tokenizer tokenizer = Tokenizer::load(directory.path());
  expect_byte_level_reference(tokenizer, false);
  expect_sound(tokenizer, true);
  EXPECT_EQ(tokenizer.encode_rendered("<|im_start|>"), (Ids{1}));
  directory.write("tokenizer_config.json",
                  R"({"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": true})");
  const Tokenizer gpt2 = Tokenizer::load(directory.path() / "vocab.json");
  EXPECT_EQ(gpt2.encode("the"), gpt2.encode(" the"));
  directory.write("merges.txt", "#version: 0.2\ne r\nnothing\n");
  EXPECT_THAT(refusal(directory.path()), testing::HasSubstr("merges[1] is not a pair"));
}

TEST(TokenizerDirectory, TheFirstKindCounts) {
  const TestDirectory directory;
  EXPECT_FALSE(Tokenizer::present(directory.path()));
  EXPECT_THAT(refusal(directory.path()),
              testing::HasSubstr(
                  "holds no tokenizer.json, tokenizer.model, *.tiktoken, or vocab.json with merges.txt"));
  directory.write("vocab.json", "{}");
  EXPECT_FALSE(Tokenizer::present(directory.path()));
  EXPECT_THAT(refusal(directory.path() / "vocab.json"), testing::HasSubstr("no merges.txt beside it"));
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer"})");
  write_vocab_merges(directory);
  EXPECT_TRUE(Tokenizer::present(directory.path()));
  EXPECT_EQ(Tokenizer::load(directory.path()).vocab_size(), 640);
  directory.write("qwen.tiktoken", "IQ== 0\n");
  EXPECT_THAT(refusal(directory.path()), testing::HasSubstr("qwen.tiktoken"));
  directory.write("tokenizer.model.v3", sentence_piece_bytes());
  EXPECT_EQ(Tokenizer::load(directory.path()).vocab_size(), 500);
  directory.write("tokenizer.json", read_file(kData / "tokenizer-byte_fallback/tokenizer.json"));
  EXPECT_EQ(Tokenizer::load(directory.path()).bos_id(), 1);
}

TEST(TokenizerDirectory, SettingsBesideTokenizerJson) {
  const TestDirectory directory;
  directory.write("tokenizer.json", read_file(kData / "tokenizer-byte_fallback/tokenizer.json"));
  const auto with = [&](const char* config) {
    directory.write("tokenizer_config.json", config);
    return Tokenizer::load(directory.path());
  };
  const Ids text = with("{}").encode("text");
  EXPECT_EQ(with(R"({"add_bos_token": false, "add_eos_token": false})").encode("text", true), text);
  const Ids both = with(R"({"add_bos_token": true, "add_eos_token": true})").encode("text", true);
  EXPECT_EQ(both.size(), text.size() + 2);
  EXPECT_EQ(both.front(), 1);
  EXPECT_EQ(both.back(), 2);
  const Tokenizer more = with(
      R"({"added_tokens_decoder": {"1": {"content": "<s>"}, "640": {"content": "<|pad|>", "special": true}}})");
  EXPECT_EQ(more.encode("<|pad|>"), (Ids{640}));
  EXPECT_EQ(more.pad_id(), 640);
  EXPECT_EQ(more.encode_as_text("<|pad|>"), with("{}").encode("<|pad|>"));
}

// 300 KB that become 300 MB.
TEST(TokenizerKinds, CompressedFilesHaveALimit) {
  TestDirectory directory;
  const fs::path path = directory.path() / "tokenizer.json.gz";
  std::string line(1 << 20, ' ');
  line.back() = '\n';
  gzFile file = gzopen(path.c_str(), "wb");
  for (int i = 0; i < 300; ++i) gzwrite(file, line.data(), static_cast<unsigned>(line.size()));
  gzclose(file);
  EXPECT_THAT(
      refusal(directory.path()),
      testing::HasSubstr("tokenizer.json.gz holds more than 268435456 bytes when it is decompressed"));
}

}  // namespace
}  // namespace dmoerm::text
