#include "dmoerm/data/world_files.h"

#include "dmoerm/core/file.h"
#include "dmoerm/data/record_format.h"

namespace dmoerm::data {
namespace {

// Tasks take turns, so that any part of the file holds all of them.
void write_lists(const World& world, const fs::path& path, std::string_view purpose, int64_t lists,
                 bool exact, int64_t answers = 4) {
  if (lists == 0) return;
  AtomicFile file(path);
  for (int64_t index = 0; index < lists; ++index)
    for (size_t task = 0; task < world.tasks().size(); ++task)
      file.write(to_native(exact ? world.exact_list(task, purpose, index, answers)
                                 : world.human_list(task, purpose, index, answers)) +
                 "\n");
  file.commit();
}

}  // namespace

WorldFiles write_world(const World& world, const fs::path& directory, const WorldSizes& sizes) {
  const WorldFiles files{directory / "train.jsonl", directory / "validation.jsonl", directory / "test.jsonl",
                         directory / "pool.jsonl", directory / "pretraining.txt"};
  write_lists(world, files.train, "train", sizes.train, false);
  write_lists(world, files.validation, "validation", sizes.validation, false);
  write_lists(world, files.test, "test", sizes.test, true);
  write_lists(world, files.pool, "pool", sizes.pool_prompts, true, sizes.pool_answers);
  if (sizes.pretraining == 0) return files;
  AtomicFile texts(files.pretraining);
  for (int64_t index = 0; index < sizes.pretraining; ++index)
    texts.write(world.pretraining_text(index) + "\n");
  texts.commit();
  return files;
}

}  // namespace dmoerm::data
