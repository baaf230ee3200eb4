#include "dmoerm/text/tokenizer_files.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "dmoerm/core/file.h"
#include "dmoerm/text/json_parts.h"
#include "dmoerm/text/rank_model.h"

namespace dmoerm::text {
namespace {

constexpr const char* kSideFiles[] = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                                      "chat_template.jinja"};

constexpr uint64_t kLargestFile = 256 << 20;  // bytes, decompressed; the largest known ones have some 35 MB

std::string read_plain_or_compressed(const fs::path& path) {
  LineReader reader(path, kLargestFile);
  std::string text;
  for (std::string line; reader.next(line); text += '\n') text += line;
  return text;
}

// FILE, or FILE.gz.
std::optional<fs::path> plain_or_compressed(const fs::path& file) {
  for (const fs::path& path : {file, fs::path(file.string() + ".gz")})
    if (fs::exists(path)) return path;
  return std::nullopt;
}

std::optional<fs::path> first_named(const fs::path& directory, bool (*matches)(const std::string& name)) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(directory))
    if (matches(entry.path().filename().string())) found.push_back(entry.path());
  return found.empty() ? std::nullopt : std::optional(*std::min_element(found.begin(), found.end()));
}

bool is_model_name(const std::string& name) {  // tokenizer.model, or tokenizer.model.v3
  return name.starts_with("tokenizer.model");
}
bool is_rank_name(const std::string& name) {
  return name.ends_with(".tiktoken") || name.ends_with(".tiktoken.gz");
}

std::optional<fs::path> find_main(const fs::path& directory) {
  if (const auto file = plain_or_compressed(directory / "tokenizer.json")) return file;
  if (const auto file = first_named(directory, is_model_name)) return file;
  if (const auto file = first_named(directory, is_rank_name)) return file;
  const auto vocab = plain_or_compressed(directory / "vocab.json");
  return vocab && plain_or_compressed(directory / "merges.txt") ? vocab : std::nullopt;
}

std::string without_gz(const std::string& name) {
  return name.ends_with(".gz") ? name.substr(0, name.size() - 3) : name;
}

Json side_json(const TokenizerFiles& files, const std::string& name) {
  const auto file = files.contents.find(name);
  if (file == files.contents.end()) return Json::object();
  Json json = parse_json(file->second, files.beside(name));
  if (!json.is_object()) fail(files.beside(name), "found {}, expected an object", json_kind(json));
  return json;
}

// "</s>", or {"content": "</s>", …}
std::string token_text(const Json& token, const std::string& role, const std::string& where) {
  if (token.is_string()) return token.get<std::string>();
  if (token.is_object()) return json_field<std::string>(token, "content", where);
  fail(where, "\"{}\" is {}, expected a token", role, json_kind(token));
}

// Whether a list of special tokens names `content`: as text, as {"content": …}, or inside a list.
bool names_token(const Json& roles, const std::string& content) {
  const auto is_it = [&](const Json& token) {
    return token == content || (token.is_object() && token.value("content", Json()) == content);
  };
  return std::any_of(roles.begin(), roles.end(), [&](const Json& role) {
    return is_it(role) || (role.is_array() && std::any_of(role.begin(), role.end(), is_it));
  });
}

}  // namespace

TokenizerFiles TokenizerFiles::read(const fs::path& path) {
  TokenizerFiles files;
  fs::path main = path;
  if (fs::is_directory(path)) {
    const auto found = find_main(path);
    if (!found)
      fail("tokenizer",
           "{} holds no tokenizer.json, tokenizer.model, *.tiktoken, or vocab.json with merges.txt",
           path.string());
    main = *found;
  }
  files.source = main.string();
  files.name = without_gz(main.filename().string());
  if (is_model_name(files.name)) {
    // Two kinds go by this name; the binary one must not be read by lines.
    std::string content = read_file(main);
    files.kind = looks_like_ranks(content) ? Kind::Ranks : Kind::SentencePiece;
    files.name = "tokenizer.model";
    files.contents[files.name] = std::move(content);
  } else {
    if (is_rank_name(files.name)) files.kind = Kind::Ranks;
    if (files.name == "vocab.json") {
      files.kind = Kind::VocabMerges;
      const auto merges = plain_or_compressed(main.parent_path() / "merges.txt");
      if (!merges) fail("tokenizer", "{} has no merges.txt beside it", files.source);
      files.contents["merges.txt"] = read_plain_or_compressed(*merges);
    }
    if (files.kind == Kind::Json) files.name = "tokenizer.json";
    files.contents[files.name] = read_plain_or_compressed(main);
  }
  for (const char* name : kSideFiles) {
    const fs::path side = main.parent_path() / name;
    if (fs::exists(side)) files.contents[name] = read_file(side);
  }
  files.config = side_json(files, "tokenizer_config.json");
  files.special_tokens_map = side_json(files, "special_tokens_map.json");
  return files;
}

bool TokenizerFiles::present(const fs::path& directory) {
  return fs::is_directory(directory) && find_main(directory).has_value();
}

std::string TokenizerFiles::beside(const std::string& file) const {
  return (fs::path(source).parent_path() / file).string();
}

std::optional<std::optional<std::string>> TokenizerFiles::named_token(const std::string& role) const {
  for (const auto& [file, json] :
       {std::pair("tokenizer_config.json", &config), {"special_tokens_map.json", &special_tokens_map}}) {
    if (!json->contains(role)) continue;
    if ((*json)[role].is_null()) return std::optional<std::string>();
    return token_text((*json)[role], role, beside(file));
  }
  return std::nullopt;
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

std::vector<std::string> TokenizerFiles::role_candidates(
    const std::string& role, const std::map<std::string, std::string>& own) const {
  if (const auto named = named_token(role)) return *named ? std::vector{**named} : std::vector<std::string>();
  if (const auto named = own.find(role); named != own.end()) return {named->second};
  if (role == "bos_token") return {"<s>", "<|begin_of_text|>", "<bos>", "<|endoftext|>"};
  if (role == "eos_token")
    return {"<|im_end|>", "</s>", "<|eot_id|>", "<|end_of_text|>", "<eos>", "<|endoftext|>"};
  return {"<pad>", "<|pad|>", "<|padding|>", "[PAD]", "<|finetune_right_pad_id|>", "<|endoftext|>"};
}

Json TokenizerFiles::added_tokens() const {
  Json list = Json::array();
  const std::string where = beside("tokenizer_config.json");
  const Json& decoder = json_member(config, "added_tokens_decoder", where);
  if (!decoder.is_null() && !decoder.is_object())
    fail(where, "\"added_tokens_decoder\" is {}, expected an object", json_kind(decoder));
  for (const auto& [key, token] : decoder.items()) {
    int32_t id = -1;
    const auto result = std::from_chars(key.data(), key.data() + key.size(), id);
    if (result.ec != std::errc() || result.ptr != key.data() + key.size() || !token.is_object())
      fail(where, "added_tokens_decoder[\"{}\"] is {}, expected an id and an object", key, json_kind(token));
    list.push_back(token);
    list.back()["id"] = id;
  }
  if (!decoder.is_null()) return list;

  const Json further = side_json(*this, "added_tokens.json");  // as older tools write it: content -> id
  for (const auto& [content, id] : further.items()) {
    const bool special = names_token(config, content) || names_token(special_tokens_map, content);
    list.push_back({{"content", content}, {"id", id}, {"special", special}, {"normalized", false}});
  }
  return list;
}

std::string TokenizerFiles::chat_template() const {
  if (const auto jinja = contents.find("chat_template.jinja"); jinja != contents.end()) return jinja->second;
  const std::string where = beside("tokenizer_config.json");
  const Json& given = json_member(config, "chat_template", where);
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
