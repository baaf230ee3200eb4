// Kind "single": one reward model for all data.
#include <set>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/core/runtime.h"
#include "dmoerm/text/json_parts.h"
#include "dmoerm/train/double_layer_run.h"
#include "dmoerm/train/run_data.h"

namespace dmoerm::train {
namespace {

// The train and held-out examples of every source, the former in source order.
void fill_lane(PreferenceLane& lane, const RunConfig& config, const data::GroupStore& store) {
  std::vector<std::vector<int64_t>> groups(config.data.size());
  for (int64_t group = 0; group < store.size(); ++group)
    groups[std::stoul(store.task(group))].push_back(group);
  for (size_t i = 0; i < groups.size(); ++i) {
    const GroupSplit split = split_groups(store, groups[i], 0, config.split);
    const auto begin = static_cast<int64_t>(lane.train.size());
    for (auto& example : human_examples(store, split.train)) lane.train.push_back(std::move(example));
    for (auto& example : human_examples(store, split.held_out)) lane.held_out.push_back(std::move(example));
    const auto end = static_cast<int64_t>(lane.train.size());
    if (begin == end) fail("train", "[[data]] table {} has no rankings to learn from", i + 1);
    lane.sources.push_back({begin, end, config.data[i].weight});
  }
}

// transformers scores the last token that is not padding, so the padding token must never end a sequence.
int64_t choose_padding(const text::Tokenizer& tokenizer, const data::GroupStore& store) {
  std::set<int32_t> last;
  for (int64_t group = 0; group < store.size(); ++group)
    for (const auto& sequence : store.get(group).sequences) last.insert(sequence.back());
  std::vector<std::optional<int32_t>> candidates = {tokenizer.pad_id()};
  for (const char* name :
       {"<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>", "<|endoftext|>", "<unk>"})
    candidates.push_back(tokenizer.token_id(name));
  candidates.push_back(tokenizer.bos_id());
  candidates.push_back(tokenizer.eos_id());
  for (const auto& candidate : candidates)
    if (candidate && last.count(*candidate) == 0) return *candidate;
  fail("train",
       "the tokenizer has no token for padding that never closes an answer: add a <pad> token to it");
}

// A named format as a template that gives the same text whatever the tokenizer calls its tokens.
std::string template_of(const text::ChatFormat& format) {
  const std::string with_bos =
      text::replace_all(format.chat_template(), "bos_token", "'" + format.bos_token() + "'");
  return text::replace_all(with_bos, "eos_token", "'" + format.eos_token() + "'");
}

// What any tool needs to score as we do: the padding token, the length limit and the chat format.
void write_tokenizer_settings(const fs::path& directory, const RunConfig& config,
                              const text::Tokenizer& tokenizer, int64_t padding) {
  const fs::path file = directory / "tokenizer_config.json";
  Json settings = fs::exists(file) ? load_json(file) : Json::object();
  const auto id = static_cast<int32_t>(padding);
  settings["pad_token"] = tokenizer.decode({&id, 1});
  settings["model_max_length"] = config.encode.max_tokens;
  if (config.encode.chat_format != text::ChatFormat::kTemplate) {
    settings["chat_template"] = template_of(text::ChatFormat::named(config.encode.chat_format));
    fs::remove(directory / "chat_template.jinja");  // it would win
  }
  write_file_atomically(file, dump_json(settings, 2) + "\n");
}

}  // namespace

void train_single(const RunConfig& config, const RunOptions& options) {
  RunDirectory run(config.out, options.resume);
  const text::Tokenizer tokenizer = text::Tokenizer::load(config.base);
  const data::GroupStore store = load_run_data(config, tokenizer);
  run.begin(run_identity(config, store));
  StageContext context{run, store, config.seed, measured_matmul_rate(options.device)};
  models::Checkpoint base = models::load_checkpoint(config.base, {options.device, torch::kFloat32});

  PreferenceLane lane;
  lane.name = "model";
  lane.head_PD = new_head(base, 1, hash_combine(config.seed, hash64("single")));
  fill_lane(lane, config, store);
  const int64_t padding = choose_padding(tokenizer, store);
  AtomicDirectory directory(config.out / "model");
  if (config.phase1_form == "lora") {
    std::vector<models::Adapter> adapters = {
        models::new_adapter(*base.decoder, config.phase1_lora, config.seed)};
    adapters[0].base_model = fs::absolute(config.base).string();
    std::vector<PreferenceLane> lanes;
    lanes.push_back(std::move(lane));
    train_adapters(context, "train", *base.decoder, adapters, std::move(lanes), config.phase1);
    models::save_adapter(directory.path(), adapters[0]);
  } else {
    train_whole(context, "train", base, std::move(lane), config.phase1);
    base.pad_token_id = padding;
    models::save_checkpoint(directory.path(), base);
    tokenizer.save(directory.path());
    write_tokenizer_settings(directory.path(), config, tokenizer, padding);
  }
  directory.commit();
}

}  // namespace dmoerm::train
