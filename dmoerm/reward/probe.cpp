#include "dmoerm/reward/probe.h"

#include <optional>

#include "dmoerm/core/file.h"
#include "dmoerm/data/packing.h"
#include "dmoerm/models/adapter.h"
#include "dmoerm/reward/double_layer_model.h"
#include "dmoerm/text/tokenizer.h"

namespace dmoerm::reward {
namespace {

using OrderedJson = nlohmann::ordered_json;

// As many digits as give the same float32 again. JSON has no numbers that are not finite.
std::vector<float> floats(const Tensor& x, const std::string& where) {
  const Tensor plain = x.to(torch::kCPU, torch::kFloat32).contiguous();
  if (!plain.isfinite().all().item<bool>()) fail(where, "the model gives numbers that are not finite");
  return {plain.data_ptr<float>(), plain.data_ptr<float>() + plain.numel()};
}

class Probe {
 public:
  explicit Probe(const ProbeOptions& options)
      : texts_(tokenizer_directory(options.model, options.adapter)),
        model_(models::load_checkpoint(options.model, options.load)) {
    if (!options.adapter.empty()) add_adapter(options.adapter);
  }

  std::vector<int32_t> ids_of(const Json& line, const std::string& where) {
    const bool has_ids = line.is_object() && line.contains("ids");
    if (has_ids == (line.is_object() && line.contains("text")))
      fail(where, "expected an object with either \"ids\" or \"text\"");
    if (!has_ids) return tokenizer().encode(json_field<std::string>(line, "text", where), true);
    std::vector<int32_t> ids;
    if (!line["ids"].is_array()) fail(where, "\"ids\" is {}, expected a list", json_kind(line["ids"]));
    for (const Json& id : line["ids"]) {
      if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX)
        fail(where, "\"ids\" holds {}, expected token ids", id.dump());
      ids.push_back(id.get<int32_t>());
    }
    return ids;
  }

  std::string answer(const std::vector<int32_t>& ids, const std::string& where) const {
    if (ids.empty()) fail(where, "found no tokens, expected at least one");
    const auto num_experts = static_cast<int32_t>(experts_.experts.size());
    const std::vector<data::PackItem> items = {{ids, 0, num_experts - 1}};
    const nn::Batch batch = nn::to_device(data::pack(items, num_experts), model_.decoder->device());
    const Tensor state_D = model_.decoder->last_hidden(batch, num_experts > 0 ? &experts_ : nullptr)[0];
    OrderedJson json = {{"ids", ids}, {"hidden", floats(state_D, where)}};
    if (model_.head == models::HeadKind::Score)
      json["scores"] = floats(torch::mv(model_.score_weight, state_D.to(torch::kFloat32)), where);
    if (model_.head == models::HeadKind::LanguageModel)
      json["logits"] = floats(torch::mv(model_.lm_weight, state_D), where);
    return json.dump() + "\n";
  }

 private:
  void add_adapter(const std::filesystem::path& directory) {
    models::Adapter adapter = models::load_adapter(directory, *model_.decoder, model_.names());
    if (adapter.score_weight.defined()) {
      model_.head = models::HeadKind::Score;
      model_.score_weight = adapter.score_weight;
    }
    experts_.experts.push_back(std::move(adapter.lora));
  }

  const text::Tokenizer& tokenizer() {
    if (!tokenizer_) tokenizer_ = text::Tokenizer::load(texts_);
    return *tokenizer_;
  }

  std::filesystem::path texts_;  // where the tokenizer is
  models::Checkpoint model_;
  nn::ExpertSet experts_;
  std::optional<text::Tokenizer> tokenizer_;
};

}  // namespace

void probe_file(const ProbeOptions& options, const std::filesystem::path& input,
                const std::function<void(std::string_view)>& write) {
  torch::NoGradGuard no_grad;
  LineReader reader(input);
  Probe probe(options);
  for (std::string line; reader.next(line);) {
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    const std::string where =
        fmt::format("{}:{}", input == "-" ? "standard input" : input.string(), reader.line_number());
    write(probe.answer(probe.ids_of(parse_json(line, where), where), where));
  }
}

}  // namespace dmoerm::reward
