// No sequence begins with two BOS: chat templates and post-processors that both write one, for each family.
#include <gmock/gmock.h>

#include <algorithm>

#include "dmoerm/core/json.h"
#include "dmoerm/data/prompt_group.h"
#include "dmoerm/data/reader.h"
#include "tests/core/temporary_directory.h"

namespace dmoerm::data {
namespace {

struct Family {
  std::string name, tokenizer, bos, eos, chat_template;
  bool post_processor_adds_bos;
  int bos_of_messages;  // what the template writes
};

constexpr const char* kHeaders =
    "{% for m in messages %}{{ (bos_token if loop.first else '') ~ '<|' ~ m.role ~ '|>' ~ m.content ~ "
    "eos_token }}{% endfor "
    "%}{% if add_generation_prompt %}<|assistant|>{% endif %}";
constexpr const char* kInstructions =
    "{{ bos_token }}{% for m in messages %}{{ '[INST] ' ~ m.content ~ ' [/INST]' if m.role == 'user' else "
    "m.content ~ "
    "eos_token }}{% endfor %}";
constexpr const char* kChatml =
    "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }}{% endfor %}{% "
    "if "
    "add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

const Family kFamilies[] = {
    {"gpt2", "tokenizer-byte_level", "<|endoftext|>", "<|endoftext|>", kChatml, false, 0},
    {"gpt2, a template with BOS", "tokenizer-byte_level", "<|endoftext|>", "<|im_end|>", kHeaders, false, 1},
    {"qwen2", "tokenizer-byte_level", "", "<|im_end|>", kChatml, false, 0},
    {"llama2", "tokenizer-byte_fallback", "<s>", "</s>", kInstructions, true, 1},
    {"llama2, a template without BOS", "tokenizer-byte_fallback", "<s>", "</s>", kChatml, true, 0},
    {"llama3", "tokenizer-byte_level", "<|begin_of_text|>", "<|im_end|>", kHeaders, true, 1},
    {"mistral", "tokenizer-byte_fallback", "<s>", "</s>", kInstructions, true, 1},
};

class BeginningOfSequenceTest : public TemporaryDirectoryTest {
 protected:
  text::Tokenizer tokenizer_of(const Family& family) const {
    Json json = load_json(fs::path(DMOERM_TEST_DATA) / family.tokenizer / "tokenizer.json");
    if (family.bos == "<|begin_of_text|>") add_token(json, family.bos);
    if (family.tokenizer == "tokenizer-byte_level" && family.post_processor_adds_bos)
      json["post_processor"] = two_processors(family.bos, json["added_tokens"].back()["id"]);
    write_file_atomically(directory_ / "tokenizer.json", json.dump());
    Json config = {
        {"bos_token", nullptr}, {"eos_token", family.eos}, {"chat_template", family.chat_template}};
    if (!family.bos.empty()) config["bos_token"] = family.bos;
    write_file_atomically(directory_ / "tokenizer_config.json", config.dump());
    return text::Tokenizer::load(directory_);
  }

  static void add_token(Json& json, const std::string& token) {
    const auto id = json["model"]["vocab"].size();
    json["added_tokens"].push_back({{"id", id},
                                    {"content", token},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", true}});
  }

  // As in Llama 3's files.
  static Json two_processors(const std::string& bos, const Json& id) {
    const Json token = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
    const Json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
    const Json known = {{bos, {{"id", bos}, {"ids", Json::array({id})}, {"tokens", Json::array({bos})}}}};
    return {
        {"type", "Sequence"},
        {"processors",
         {{{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}},
          {{"type", "TemplateProcessing"},
           {"single", {token, sequence}},
           {"pair", {token, sequence}},
           {"special_tokens", known}}}}};
  }
};

PreferenceRecord record_of(const std::string& line) {
  ReaderOptions options;
  options.require_ranks = false;
  return parse_record(line, options);
}

// BOS at the front of the sequence; -1 when one stands elsewhere.
int leading_bos(const std::vector<int32_t>& ids, const text::Tokenizer& tokenizer) {
  if (!tokenizer.bos_id() || tokenizer.bos_id() == tokenizer.eos_id()) return 0;
  const auto all = std::count(ids.begin(), ids.end(), *tokenizer.bos_id());
  const auto front =
      std::find_if(ids.begin(), ids.end(), [&](int32_t id) { return id != tokenizer.bos_id(); });
  return front - ids.begin() == all ? static_cast<int>(all) : -1;
}

TEST_F(BeginningOfSequenceTest, IsNeverDoubled) {
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.name);
    const text::Tokenizer tokenizer = tokenizer_of(family);
    GroupEncoder encoder(tokenizer, {});
    const auto messages = record_of(R"({"prompt":[{"role":"user","content":"Hi"}],"responses":["Hello"]})");
    const std::vector<int32_t> ids = encoder.encode(messages).sequences[0];
    EXPECT_EQ(leading_bos(ids, tokenizer), family.bos_of_messages);

    // The rendered text given as raw text: the same ids, with the BOS that the post-processor owes.
    const std::vector<text::Message> talk = {{"user", "Hi"}, {"assistant", "Hello"}};
    PreferenceRecord raw = record_of(R"({"prompt":"","responses":["x"]})");
    raw.prompt_text = encoder.chat_format().render(talk);
    raw.responses[0][0].content = "";
    const int expected = std::max<int>(family.bos_of_messages, family.post_processor_adds_bos);
    std::vector<int32_t> raw_ids = encoder.encode(raw).sequences[0];
    EXPECT_EQ(leading_bos(raw_ids, tokenizer), expected);
    if (expected == family.bos_of_messages) {
      if (raw_ids.size() > ids.size()) raw_ids.pop_back();  // the EOS of raw text
      EXPECT_EQ(raw_ids, ids);
    }

    raw.prompt_text = "No BOS in here";
    EXPECT_EQ(leading_bos(encoder.encode(raw).sequences[0], tokenizer),
              family.post_processor_adds_bos ? 1 : 0);
    raw.prompt_text = family.bos + "A BOS in here";
    const bool has_bos = !family.bos.empty() && family.bos != family.eos;
    EXPECT_EQ(leading_bos(encoder.encode(raw).sequences[0], tokenizer), has_bos ? 1 : 0);
    EXPECT_LE(leading_bos(encoder.encode_router_input(raw), tokenizer), 1);
    EXPECT_GE(leading_bos(encoder.encode_router_input(raw), tokenizer), 0);
  }
}

// Named formats that write a BOS of their own.
TEST_F(BeginningOfSequenceTest, IsNotDoubledByNamedFormats) {
  const std::pair<std::string, Family> cases[] = {{"mistral", kFamilies[6]}, {"llama3", kFamilies[5]}};
  for (const auto& [name, family] : cases) {
    const text::Tokenizer tokenizer = tokenizer_of(family);
    GroupEncoder encoder(tokenizer, {.chat_format = name});
    const auto messages = record_of(R"({"prompt":[{"role":"user","content":"Hi"}],"responses":["Hello"]})");
    EXPECT_EQ(leading_bos(encoder.encode(messages).sequences[0], tokenizer), 1) << name;
  }
}

}  // namespace
}  // namespace dmoerm::data
