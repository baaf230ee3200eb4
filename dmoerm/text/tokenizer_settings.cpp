#include "dmoerm/text/tokenizer_settings.h"

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/core/log.h"
#include "dmoerm/text/chat_format.h"
#include "dmoerm/text/json_parts.h"

namespace dmoerm::text {
namespace {

// A named format as a template that gives the same text whatever the tokenizer calls its tokens.
std::string template_of(const ChatFormat& format) {
  const std::string text = replace_all(format.chat_template(), "bos_token", "'" + format.bos_token() + "'");
  return replace_all(text, "eos_token", "'" + format.eos_token() + "'");
}

}  // namespace

std::optional<int32_t> choose_padding(const Tokenizer& tokenizer, int64_t vocab_size,
                                      const std::set<int32_t>& closing) {
  std::vector<std::optional<int32_t>> candidates = {tokenizer.pad_id()};
  for (const char* name : {"<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>", "<|endoftext|>", "<unk>",
                           "<|vision_pad|>", "<|fim_pad|>", "<|image_pad|>"})
    candidates.push_back(tokenizer.token_id(name));
  candidates.push_back(tokenizer.bos_id());
  candidates.push_back(tokenizer.eos_id());
  for (const auto& candidate : candidates)
    if (candidate && *candidate < vocab_size && closing.count(*candidate) == 0) return *candidate;
  log().warn(
      "the tokenizer has no token for padding that never closes an answer: transformers scores one sequence "
      "at a time");
  return {};
}

void save_tokenizer(const fs::path& directory, const Tokenizer& tokenizer,
                    const TokenizerSettings& settings) {
  tokenizer.save(directory);
  const fs::path file = directory / "tokenizer_config.json";
  Json config = fs::exists(file) ? load_json(file) : Json::object();
  if (fs::exists(directory / "tokenizer.json"))  // else transformers guesses the class from the model
    config.emplace("tokenizer_class", "PreTrainedTokenizerFast");
  if (settings.padding) config["pad_token"] = tokenizer.decode({&*settings.padding, 1});
  config["model_max_length"] = settings.max_tokens;
  if (settings.chat_format != ChatFormat::kTemplate) {
    config["chat_template"] = template_of(ChatFormat::named(settings.chat_format));
    fs::remove(directory / "chat_template.jinja");  // it would win
  }
  write_file_atomically(file, dump_json(config, 2) + "\n");
}

}  // namespace dmoerm::text
