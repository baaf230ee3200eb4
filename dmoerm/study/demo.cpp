#include "dmoerm/study/demo.h"

#include <chrono>
#include <cmath>

#include "dmoerm/core/log.h"
#include "dmoerm/label/label_files.h"
#include "dmoerm/metrics/evaluation.h"
#include "dmoerm/study/baselines.h"
#include "dmoerm/study/demo_settings.h"
#include "dmoerm/text/tokenizer_trainer.h"

namespace dmoerm::study {
namespace {

constexpr int64_t kVocabulary = 800;

// One seed of the demo: everything in one folder.
class DemoRun {
 public:
  DemoRun(const DemoOptions& options, uint64_t seed)
      : options_(options),
        seed_(seed),
        directory_(options.out / fmt::format("seed{}", seed)),
        world_({.seed = seed}) {}

  DemoSeed run() {
    const auto begin = std::chrono::steady_clock::now();
    result_.seed = seed_;
    make_data();
    if (!fs::exists(directory_ / "base" / "model"))
      train::pretrain(demo_pretrain(directory_, seed_), run_options(directory_ / "base"));
    make_labels();
    run_singles();
    run_double_layers();
    const train::RunConfig multi =
        demo_double_layer(directory_, "multi-objective", directory_ / "labels.jsonl", seed_);
    add("multi-objective", train_multi_objective(multi, run_options(multi.out)));
    result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result_;
  }

 private:
  // An interrupted run goes on.
  train::RunOptions run_options(const fs::path& out) const {
    return {fs::exists(out / "run.json"), options_.device};
  }

  void make_data() {
    files_ = data::write_world(world_, directory_ / "world", options_.sizes);
    text::TokenizerTrainOptions tokenizer;
    tokenizer.inputs = {files_.pretraining};
    tokenizer.output = directory_ / "tokenizer";
    tokenizer.vocab_size = kVocabulary;
    text::train_tokenizer(tokenizer);
    // The human ranks agree with gold in this share of pairs.
    data::PreferenceReader reader({files_.train});
    data::PreferenceRecord record;
    double agreeing = 0, pairs = 0;
    while (reader.next(record)) {
      const size_t task = data::find_task(data::paper_tasks(), record.task) - data::paper_tasks().data();
      std::vector<double> gold;
      for (const data::Response& response : record.responses)
        gold.push_back(world_.gold(task, record.prompt_text, data::response_text(response)));
      const metrics::PairCount count = metrics::count_pairs(gold, record.ranks);
      agreeing += count.right;
      pairs += static_cast<double>(count.pairs);
    }
    result_.human_agreement = agreeing / pairs;
  }

  void make_labels() {
    label::LabelRun run;
    run.data = {files_.train};
    run.out = directory_ / "labels.jsonl";
    run.judge = "world";
    run.options.drop_ties = true;
    run.options.seed = seed_;
    const label::LabelSummary summary = label::label_files(run);
    result_.kept_labels = static_cast<double>(summary.total.kept) / static_cast<double>(summary.total.labels);
    run.out = directory_ / "human_labels.jsonl";  // the human ranks in place of each point's labels
    run.judge = "ranks";
    label::label_files(run);
  }

  void run_singles() {
    const train::RunConfig single = demo_single(directory_, "single", files_.train, seed_);
    train::train_single(single, run_options(single.out));
    add("one model for all tasks", reward::load_classifier(single.out / "model", {}));
    MethodAccuracy per_task{"one model a task", 0, {}};
    for (const data::TaskPoints& task : data::paper_tasks()) {
      const fs::path file = task_file(files_.train, task.name), test = task_file(files_.test, task.name);
      const train::RunConfig config = demo_single(directory_, "per-task/" + task.name, file, seed_);
      train::train_single(config, run_options(config.out));
      reward::Scorer scorer = reward::Scorer::load(config.out / "model");
      per_task.tasks.push_back(metrics::total(evaluate(scorer, test).overall.accuracy).accuracy());
    }
    for (const double accuracy : per_task.tasks)
      per_task.overall += accuracy / static_cast<double>(per_task.tasks.size());
    result_.methods.push_back(per_task);
  }

  void run_double_layers() {
    const train::RunConfig main = demo_double_layer(directory_, "dmoerm", directory_ / "labels.jsonl", seed_);
    const reward::DoubleLayerModel model = train::train_double_layer(main, run_options(main.out));
    const train::RunConfig human =
        demo_double_layer(directory_, "human-only", directory_ / "human_labels.jsonl", seed_);
    reuse_first_stages(main.out, human.out);
    add("linear combination of heads", with_linear_combination(model, main.out));
    add("DMoERM, human labels only", train::train_double_layer(human, run_options(human.out)));
    add("DMoERM", model);
  }

  // The records of one task, in a file of their own.
  fs::path task_file(const fs::path& file, const std::string& task) const {
    const fs::path path = directory_ / "world" / (task + "." + file.filename().string());
    AtomicFile out(path);
    data::PreferenceReader reader({file});
    data::PreferenceRecord record;
    while (reader.next(record))
      if (record.task == task) out.write(reader.line() + "\n");
    out.commit();
    return path;
  }

  static metrics::Evaluation evaluate(reward::Scorer& scorer, const fs::path& file) {
    metrics::EvaluationOptions options;
    options.files = {file};
    return metrics::evaluate(scorer, options);
  }

  void add(const std::string& method, reward::DoubleLayerModel model) {
    reward::Scorer scorer(std::move(model));
    const metrics::Evaluation evaluation = evaluate(scorer, files_.test);
    MethodAccuracy accuracy{method, metrics::total(evaluation.overall.accuracy).accuracy(), {}};
    for (const data::TaskPoints& task : data::paper_tasks())
      for (const metrics::TaskEvaluation& row : evaluation.tasks)
        if (row.task == task.name) accuracy.tasks.push_back(metrics::total(row.accuracy).accuracy());
    result_.methods.push_back(accuracy);
    log().info("seed {}: {} is right on {:.1f}% of the held-out pairs", seed_, method,
               100 * accuracy.overall);
  }

  const DemoOptions& options_;
  uint64_t seed_;
  fs::path directory_;
  data::World world_;
  data::WorldFiles files_;
  DemoSeed result_;
};

Json to_json(const DemoSeed& seed) {
  Json methods = Json::array();
  for (const MethodAccuracy& method : seed.methods)
    methods.push_back({{"method", method.method}, {"overall", method.overall}, {"tasks", method.tasks}});
  return {{"seed", seed.seed},
          {"human_agreement", seed.human_agreement},
          {"kept_labels", seed.kept_labels},
          {"seconds", seed.seconds},
          {"methods", methods}};
}

}  // namespace

std::vector<DemoSeed> run_demo(const DemoOptions& options) {
  std::vector<DemoSeed> seeds;
  Json results = Json::array();
  for (int64_t i = 0; i < options.seeds; ++i) {
    seeds.push_back(DemoRun(options, options.first_seed + static_cast<uint64_t>(i)).run());
    results.push_back(to_json(seeds.back()));
    write_file_atomically(options.out / "results.json", dump_json(results, 2) + "\n");
  }
  return seeds;
}

}  // namespace dmoerm::study
