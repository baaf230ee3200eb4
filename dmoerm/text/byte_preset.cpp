#include "dmoerm/text/byte_preset.h"

namespace dmoerm::text {
namespace {

using Kind = TokenizerFiles::Kind;

constexpr const char* kQwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::vector<std::string> numbered(std::vector<std::string> tokens, const char* stem, int first, int last) {
  for (int i = first; i <= last; ++i) tokens.push_back(fmt::format("<|{}_{}|>", stem, i));
  return tokens;
}

const std::vector<BytePreset>& presets() {
  static const std::vector<std::string> chatml = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  static const std::vector<BytePreset> all = {
      {"gpt2", Kind::VocabMerges, "GPT2Tokenizer", 50257, false, "", {"<|endoftext|>"}, false},
      {"qwen2", Kind::VocabMerges, "Qwen2Tokenizer", 151643, true, kQwenPattern, chatml, false},
      {"qwen", Kind::Ranks, "QWenTokenizer", 151643, true, kQwenPattern, numbered(chatml, "extra", 0, 204),
       false},
      {"llama3", Kind::Ranks, "LlamaTokenizer", 128000, false, kLlama3Pattern,
       numbered(
           {"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>",
            "<|reserved_special_token_1|>", "<|reserved_special_token_2|>", "<|reserved_special_token_3|>",
            "<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>", "<|eot_id|>"},
           "reserved_special_token", 5, 250),
       true},
  };
  return all;
}

// "Qwen2TokenizerFast" -> "Qwen2Tokenizer"; "" for the classes that say nothing.
std::string class_stem(const TokenizerFiles& files) {
  auto name =
      json_field_or<std::string>(files.config, "tokenizer_class", "", files.beside("tokenizer_config.json"));
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  return name == "PreTrainedTokenizer" || name == "TokenizersBackend" ? "" : name;
}

}  // namespace

const BytePreset& choose_preset(const TokenizerFiles& files, int64_t num_tokens) {
  const std::string stem = class_stem(files);
  std::vector<std::string> expected;
  for (const BytePreset& preset : presets()) {
    if (preset.kind != files.kind) continue;
    const bool fits = stem.empty() ? files.name.starts_with(preset.name) || num_tokens == preset.num_tokens
                                   : stem == preset.tokenizer_class;
    if (fits) return preset;
    expected.push_back(
        fmt::format("{} ({} tokens, for \"{}\")", preset.tokenizer_class, preset.num_tokens, preset.name));
  }
  fail(files.source,
       "{} tokens{}: how text is split is not known for this file; name its \"tokenizer_class\" in "
       "tokenizer_config.json beside it, {}, or give a tokenizer.json instead",
       num_tokens, stem.empty() ? "" : fmt::format(" of the class \"{}\"", stem),
       fmt::join(expected, " or "));
}

}  // namespace dmoerm::text
