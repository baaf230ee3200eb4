// Kind "single": one reward model for all data.
#include <set>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/core/runtime.h"
#include "dmoerm/text/tokenizer_settings.h"
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

// The ids that end sequences of the data.
std::set<int32_t> closing_ids(const data::GroupStore& store) {
  std::set<int32_t> closing;
  for (int64_t group = 0; group < store.size(); ++group)
    for (const auto& sequence : store.get(group).sequences) closing.insert(sequence.back());
  return closing;
}

}  // namespace

void train_single(const RunConfig& config, const RunOptions& options) {
  RunDirectory run(config.out, options.resume);
  const text::Tokenizer tokenizer = text::Tokenizer::load(config.base);
  const data::GroupStore store = load_run_data(config, tokenizer);
  run.begin(run_identity(config, store, options.dtype));
  StageContext context{run, store, config.seed, measured_matmul_rate(options.device)};
  models::Checkpoint base = models::load_checkpoint(config.base, {options.device, options.dtype});

  PreferenceLane lane;
  lane.name = "model";
  lane.head_PD = new_head(base, 1, hash_combine(config.seed, hash64("single")));
  fill_lane(lane, config, store);
  const auto padding = text::choose_padding(tokenizer, base.decoder->config().vocab_size, closing_ids(store));
  AtomicDirectory directory(config.out / "model");
  if (config.phase1_form == "lora") {
    std::vector<models::Adapter> adapters = {
        models::new_adapter(*base.decoder, config.phase1_lora, config.seed, base.names())};
    adapters[0].base_model = fs::absolute(config.base).string();
    std::vector<PreferenceLane> lanes;
    lanes.push_back(std::move(lane));
    train_adapters(context, "train", *base.decoder, adapters, std::move(lanes), config.phase1);
    models::save_adapter(directory.path(), adapters[0]);
  } else {
    train_whole(context, "train", base, std::move(lane), config.phase1);
    base.pad_token_id = padding;
    models::save_checkpoint(directory.path(), base);
  }
  text::save_tokenizer(directory.path(), tokenizer,
                       {config.encode.chat_format, config.encode.max_tokens, padding});
  directory.commit();
}

}  // namespace dmoerm::train
