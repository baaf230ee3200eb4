#include "dmoerm/study/study_world.h"

#include "dmoerm/core/hash.h"
#include "dmoerm/data/world.h"
#include "dmoerm/study/world_settings.h"
#include "dmoerm/text/tokenizer_trainer.h"

namespace dmoerm::study {

StudyWorld::StudyWorld(const fs::path& study_directory, const data::WorldSizes& sizes, uint64_t seed,
                       double conflict)
    : sizes_(sizes), seed_(seed), conflict_(conflict) {
  fingerprint_ = hash64(fmt::format("conflict {}, vocabulary {}", conflict, kWorldVocabulary));
  for (const auto& [key, value] : world_pretrain("", seed).settings)
    if (key != "out") fingerprint_ = hash_combine(fingerprint_, hash64(key + "=" + value));
  for (const int64_t size : {sizes.train, sizes.pretraining})
    fingerprint_ = hash_combine(fingerprint_, static_cast<uint64_t>(size));
  directory_ = study_directory / "worlds" / fmt::format("seed_{}-{:08x}", seed, fingerprint_ >> 32);
  evaluation_ =
      directory_ / fmt::format("evaluation_{}_{}x{}", sizes.test, sizes.pool_prompts, sizes.pool_answers);
}

void StudyWorld::prepare(torch::Device device, torch::ScalarType dtype) const {
  const FileLock lock(directory_ / "prepare.lock", FileLock::IfHeld::Wait);
  const fs::path done = directory_ / "prepared";
  if (fs::exists(done) && fs::exists(evaluation_)) return;
  const data::World world({.seed = seed_, .conflict = conflict_});
  AtomicDirectory evaluation(evaluation_);
  data::write_world(world, evaluation.path(),
                    {.train = 0,
                     .validation = 0,
                     .test = sizes_.test,
                     .pretraining = 0,
                     .pool_prompts = sizes_.pool_prompts,
                     .pool_answers = sizes_.pool_answers});
  evaluation.commit();
  if (fs::exists(done)) return;
  const data::WorldFiles files = data::write_world(
      world, directory_ / "world",
      {.train = sizes_.train, .validation = 0, .test = 0, .pretraining = sizes_.pretraining});
  if (!fs::exists(directory_ / "tokenizer")) {
    text::TokenizerTrainOptions tokenizer;
    tokenizer.inputs = {files.pretraining};
    tokenizer.output = directory_ / "tokenizer";
    tokenizer.vocab_size = kWorldVocabulary;
    text::train_tokenizer(tokenizer);
  }
  const train::PretrainConfig pretrain = world_pretrain(directory_, seed_);
  if (!fs::exists(pretrain.out / "model"))
    train::pretrain(pretrain, {fs::exists(pretrain.out / "run.json"), device, dtype});
  write_file_atomically(done, "");
}

}  // namespace dmoerm::study
