#include "dmoerm/text/tokenizer_settings.h"

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/text/chat_format.h"

namespace dmoerm::text {

int32_t choose_padding(const Tokenizer& tokenizer, const std::set<int32_t>& closing) {
  std::vector<std::optional<int32_t>> candidates = {tokenizer.pad_id()};
  for (const char* name :
       {"<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>", "<|endoftext|>", "<unk>"})
    candidates.push_back(tokenizer.token_id(name));
  candidates.push_back(tokenizer.bos_id());
  candidates.push_back(tokenizer.eos_id());
  for (const auto& candidate : candidates)
    if (candidate && closing.count(*candidate) == 0) return *candidate;
  fail("tokenizer", "it has no token for padding that never closes an answer: add a <pad> token to it");
}

void save_tokenizer(const fs::path& directory, const Tokenizer& tokenizer,
                    const TokenizerSettings& settings) {
  tokenizer.save(directory);
  fs::remove(directory / "chat_template.jinja");  // it would go before the template in tokenizer_config.json
  const fs::path file = directory / "tokenizer_config.json";
  Json config = fs::exists(file) ? load_json(file) : Json::object();
  config.emplace("tokenizer_class", "PreTrainedTokenizerFast");  // else transformers guesses it from the model
  config["pad_token"] = tokenizer.decode({&settings.padding, 1});
  config["model_max_length"] = settings.max_tokens;
  config["chat_template"] = ChatFormat::named(settings.chat_format).chat_template();
  write_file_atomically(file, dump_json(config, 2) + "\n");
}

}  // namespace dmoerm::text
