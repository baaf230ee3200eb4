// Reading and writing the directory of a GatedModel.
#include <set>

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/reward/gated_model.h"
#include "dmoerm/reward/model_manifest.h"

namespace dmoerm::reward {
namespace {

constexpr int64_t kGatedFormat = 1;
constexpr const char* kBasePath = "base";
constexpr const char* kGateFile = "gate.safetensors";

// What dmoerm.json says of a gated model.
struct GatedManifest {
  std::string chat_format, base, gate;
  int64_t max_tokens = 0;
  std::vector<std::string> objectives;
  GateShape shape;
  std::map<std::string, std::string> sha256;
};

// A wrong size must not become a wish for endless memory.
int64_t size_field(const Json& json, const std::string& key, int64_t most, const std::string& where) {
  const auto value = json_field<int64_t>(json, key, where);
  if (value < 1 || value > most) fail(where, "\"{}\" is {}, expected 1 to {}", key, value, most);
  return value;
}

void refuse_unknown_keys(const Json& json, const std::set<std::string>& known, const std::string& where) {
  if (!json.is_object()) fail(where, "found {}, expected an object", json_kind(json));
  for (const auto& [key, value] : json.items())
    if (!known.count(key)) fail(where, "\"{}\" is no known key", key);
}

GatedManifest read_manifest(const std::filesystem::path& directory) {
  const auto file = directory / kManifestFile;
  const std::string where = file.string();
  const Json json = load_json(file);
  if (const auto kind = json_field<std::string>(json, "kind", where); kind != "gated")
    fail(where, "\"kind\" is \"{}\", expected \"gated\"", kind);
  refuse_unknown_keys(
      json, {"format", "kind", "chat_format", "max_tokens", "base", "objectives", "gate", "sha256"}, where);
  if (const auto format = json_field<int64_t>(json, "format", where); format != kGatedFormat)
    fail(where, "\"format\" is {}, this program reads {}", format, kGatedFormat);
  GatedManifest manifest;
  manifest.chat_format = json_field<std::string>(json, "chat_format", where);
  manifest.base = json_field<std::string>(json, "base", where);
  manifest.max_tokens = size_field(json, "max_tokens", std::numeric_limits<int64_t>::max(), where);
  for (const Json& objective : json_field<Json>(json, "objectives", where)) {
    if (!objective.is_string())
      fail(where, "\"objectives\" holds {}, expected strings", json_kind(objective));
    manifest.objectives.push_back(objective.get<std::string>());
  }
  if (manifest.objectives.empty()) fail(where, "\"objectives\" holds none, expected at least one");

  const Json gate = json_field<Json>(json, "gate", where);
  const std::string where_gate = where + ": gate";
  refuse_unknown_keys(gate, {"path", "hidden", "layers", "temperature"}, where_gate);
  manifest.gate = json_field<std::string>(gate, "path", where_gate);
  manifest.shape.hidden = size_field(gate, "hidden", 1 << 20, where_gate);
  manifest.shape.layers = size_field(gate, "layers", 100, where_gate);
  manifest.shape.temperature = json_field<double>(gate, "temperature", where_gate);
  if (!(manifest.shape.temperature > 0))
    fail(where_gate, "\"temperature\" is {}, expected a positive number", manifest.shape.temperature);

  const Json digests = json_field_or<Json>(json, "sha256", Json::object(), where);
  if (!digests.is_object()) fail(where, "\"sha256\" is {}, expected an object", json_kind(digests));
  for (const auto& [name, digest] : digests.items())
    manifest.sha256[name] = json_field<std::string>(digests, name, where + ": sha256");
  return manifest;
}

}  // namespace

GatedModel GatedModel::load(const std::filesystem::path& directory, const models::LoadOptions& options) {
  const GatedManifest manifest = read_manifest(directory);
  const std::string where = (directory / kManifestFile).string();
  for (const auto& [file, digest] : manifest.sha256)
    if (!fs::is_regular_file(directory / file)) fail(where, "the file \"{}\" of the model is missing", file);
  models::Checkpoint base = models::load_checkpoint(directory / manifest.base, options);
  const int64_t width = base.decoder->config().hidden_size;
  GatedParts parts{std::move(base),
                   manifest.objectives,
                   GatedHead::load(directory / manifest.gate, manifest.shape, std::ssize(manifest.objectives),
                                   width, options.device),
                   manifest.chat_format,
                   manifest.max_tokens,
                   std::nullopt};
  if (text::Tokenizer::present(directory)) parts.tokenizer = text::Tokenizer::load(directory);
  try {
    return GatedModel(std::move(parts));
  } catch (const Error& error) {
    throw Error(fmt::format("[{}] {}", where, error.what()));
  }
}

void GatedModel::save(const std::filesystem::path& directory) const {
  AtomicDirectory target(directory);
  fs::create_directories(target.path() / kBasePath);
  models::save_checkpoint(target.path() / kBasePath, parts_.base);
  parts_.head.save(target.path() / kGateFile);
  if (parts_.tokenizer) parts_.tokenizer->save(target.path());
  const GateShape& shape = parts_.head.shape();
  const Json json = {{"format", kGatedFormat},
                     {"kind", "gated"},
                     {"chat_format", parts_.chat_format},
                     {"max_tokens", parts_.max_tokens},
                     {"base", kBasePath},
                     {"objectives", parts_.objectives},
                     {"gate",
                      {{"path", kGateFile},
                       {"hidden", shape.hidden},
                       {"layers", shape.layers},
                       {"temperature", shape.temperature}}},
                     {"sha256", file_digests(target.path())}};
  write_file_atomically(target.path() / kManifestFile, dump_json(json, 1) + "\n");
  target.commit();
}

}  // namespace dmoerm::reward
