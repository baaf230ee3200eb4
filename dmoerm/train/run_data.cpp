#include "dmoerm/train/run_data.h"

#include <set>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/data/reader.h"
#include "dmoerm/data/split.h"

namespace dmoerm::train {
namespace {

// Streams the records of every [[data]] table, one after another.
class RunReader {
 public:
  explicit RunReader(const RunConfig& config) : config_(config) {}

  bool next(data::PreferenceRecord& record) {
    for (; source_ < config_.data.size(); ++source_, reader_.reset()) {
      const DataSource& source = config_.data[source_];
      if (!reader_)
        reader_ = std::make_unique<data::PreferenceReader>(
            source.files,
            data::ReaderOptions{.text_as_turn = source.text_as_turn, .skip_bad = source.skip_bad});
      if (reader_->next(record)) {
        if (!source.task.empty()) record.task = source.task;
        return true;
      }
      if (reader_->num_bad() > 0) log().warn("{} bad lines were skipped", reader_->num_bad());
    }
    return false;
  }
  size_t source() const { return source_; }

 private:
  const RunConfig& config_;
  std::unique_ptr<data::PreferenceReader> reader_;
  size_t source_ = 0;
};

uint64_t data_key(const RunConfig& config, const data::GroupEncoder& encoder) {
  uint64_t key = hash64(config.kind);
  for (const DataSource& source : config.data) {
    const data::ReaderOptions options{.text_as_turn = source.text_as_turn, .skip_bad = source.skip_bad};
    key = hash_combine(key, data::cache_key(source.files, options, encoder));
    key = hash_combine(key, hash64(source.task));
  }
  return key;
}

}  // namespace

data::GroupStore load_run_data(const RunConfig& config, const text::Tokenizer& tokenizer) {
  data::GroupEncoder encoder(tokenizer, config.encode);
  log().info("chat format: {}", encoder.chat_format_description());
  RunReader reader(config);
  Progress progress("reading", 0, "records");
  const bool single = config.kind == "single";
  int64_t guessed = 0;
  data::GroupStore store = data::GroupStore::build(
      config.out / "cache" / "groups.bin", data_key(config, encoder), encoder,
      [&](data::PreferenceRecord& record) {
        if (!reader.next(record)) return false;
        if (single)
          record.task = std::to_string(reader.source());  // the group's task says where it came from
        guessed += record.prompt_guessed;
        progress.advance(1);
        return true;
      });
  if (store.size() == 0) fail("train", "the data hold no records");
  if (guessed > 0) log().warn("{}", data::guessed_prompts_text(guessed));
  return store;
}

void read_run_records(const RunConfig& config,
                      const std::function<void(const data::PreferenceRecord&)>& use) {
  RunReader reader(config);
  data::PreferenceRecord record;
  while (reader.next(record)) use(record);
}

Json run_identity(const RunConfig& config, const data::GroupStore& store, torch::ScalarType dtype) {
  uint64_t labels = 0;
  for (const fs::path& file : config.labels) labels = hash_combine(labels, hash64(read_file(file)));
  Json base = Json::object();
  for (const auto& entry : fs::directory_iterator(config.base))
    if (entry.is_regular_file() &&
        (entry.path().extension() == ".safetensors" || entry.path().filename() == "config.json"))
      base[entry.path().filename().string()] = sha256_file(entry.path());
  Json tasks = Json::array();
  for (const data::TaskPoints& task : config.tasks)
    tasks.push_back({{"name", task.name}, {"aliases", task.aliases}, {"points", task.points}});
  Json identity = config.settings;
  identity.update({{"(data)", store.fingerprint()},
                   {"(labels)", labels},
                   {"(base)", base},
                   {"(tasks)", tasks},
                   {"(dtype)", c10::toString(dtype)}});
  return identity;
}

int64_t task_index(const std::vector<data::TaskPoints>& tasks, const std::string& name) {
  const data::TaskPoints* task = data::find_task(tasks, name);
  return task == nullptr ? -1 : task - tasks.data();
}

RouterData load_router_data(const RunConfig& config, const text::Tokenizer& tokenizer) {
  data::GroupEncoder encoder(tokenizer, config.encode);
  log().info("chat format: {}", encoder.chat_format_description());
  RouterData result;
  std::set<std::pair<uint64_t, int64_t>> seen;
  read_run_records(config, [&](const data::PreferenceRecord& record) {
    const uint64_t prompt = data::prompt_hash(record);
    const int64_t label = task_index(config.tasks, record.task);
    if (!seen.emplace(prompt, label).second) return;
    std::vector<int32_t> tokens = encoder.encode_router_input(record);
    if (label < 0) {
      result.unknown_tasks[prompt] = std::move(tokens);
    } else if (data::split_position(prompt, "router") < config.router.held_out) {
      result.held_out.push_back({std::move(tokens), label});
    } else {
      result.train.push_back({std::move(tokens), label});
    }
  });
  return result;
}

}  // namespace dmoerm::train
