#include "dmoerm/text/tokenizer_files.h"

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/text/json_parts.h"

namespace dmoerm::text {
namespace {

constexpr const char* kSideFiles[] = {"tokenizer_config.json", "special_tokens_map.json",
                                      "chat_template.jinja"};

std::string read_plain_or_compressed(const fs::path& path) {
  LineReader reader(path);
  std::string text;
  for (std::string line; reader.next(line); text += '\n') text += line;
  return text;
}

// "</s>", or {"content": "</s>", …}
std::string token_text(const Json& token, const std::string& role, const std::string& where) {
  if (token.is_string()) return token.get<std::string>();
  if (token.is_object()) return json_field<std::string>(token, "content", where);
  fail(where, "\"{}\" is {}, expected a token", role, json_kind(token));
}

}  // namespace

TokenizerFiles TokenizerFiles::read(const fs::path& path) {
  TokenizerFiles files;
  fs::path main = path;
  if (fs::is_directory(path)) {
    main = path / "tokenizer.json";
    if (!fs::exists(main)) main = path / "tokenizer.json.gz";
    if (!fs::exists(main)) fail("tokenizer", "{} holds no tokenizer.json", path.string());
  }
  files.source = main.string();
  files.contents["tokenizer.json"] = read_plain_or_compressed(main);
  for (const char* name : kSideFiles) {
    const fs::path side = main.parent_path() / name;
    if (fs::exists(side)) files.contents[name] = read_file(side);
  }
  return files;
}

std::optional<std::optional<std::string>> TokenizerFiles::named_token(const std::string& role) const {
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const auto file = contents.find(name);
    if (file == contents.end()) continue;
    const std::string where = (fs::path(source).parent_path() / name).string();
    const Json json = parse_json(file->second, where);
    if (!json.is_object()) fail(where, "found {}, expected an object", json_kind(json));
    if (!json.contains(role)) continue;
    if (json[role].is_null()) return std::optional<std::string>();
    return token_text(json[role], role, where);
  }
  return std::nullopt;
}

std::vector<std::string> TokenizerFiles::role_candidates(const std::string& role) const {
  if (const auto named = named_token(role)) return *named ? std::vector{**named} : std::vector<std::string>();
  if (role == "bos_token") return {"<s>", "<|begin_of_text|>", "<|endoftext|>"};
  if (role == "eos_token") return {"<|im_end|>", "</s>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>"};
  return {"<pad>", "<|pad|>", "<|padding|>", "[PAD]", "<|finetune_right_pad_id|>", "<|endoftext|>"};
}

std::map<std::string, std::string> TokenizerFiles::named_tokens() const {
  std::map<std::string, std::string> tokens;
  for (const char* role :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    const auto named = named_token(role);
    if (named && *named) tokens[role] = **named;
  }
  return tokens;
}

std::string TokenizerFiles::chat_template() const {
  if (const auto jinja = contents.find("chat_template.jinja"); jinja != contents.end()) return jinja->second;
  const auto config = contents.find("tokenizer_config.json");
  if (config == contents.end()) return "";
  const std::string where = (fs::path(source).parent_path() / "tokenizer_config.json").string();
  const Json json = parse_json(config->second, where);
  const Json& given = json_member(json, "chat_template", where);
  if (given.is_string()) return given.get<std::string>();
  if (given.is_null()) return "";
  if (!given.is_array())
    fail(where, "\"chat_template\" is {}, expected a string or a list", json_kind(given));
  for (const Json& item : given)
    if (json_field<std::string>(item, "name", where) == "default")
      return json_field<std::string>(item, "template", where);
  return "";
}

}  // namespace dmoerm::text
