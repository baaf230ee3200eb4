#include "dmoerm/data/rewrite.h"

#include <memory>

#include "dmoerm/core/log.h"
#include "dmoerm/data/record_format.h"

namespace dmoerm::data {

CheckResult check_files(const std::vector<std::filesystem::path>& files, const ReaderOptions& options,
                        const std::function<void(const std::string&)>& report) {
  ReaderOptions every = options;
  every.skip_bad = false;
  PreferenceReader reader(files, every);
  PreferenceRecord record;
  CheckResult result;
  for (bool more = true; more;) {
    try {
      more = reader.next(record);
      if (more) ++result.records;
    } catch (const Error& error) {
      ++result.problems;
      report(error.what());
    }
  }
  return result;
}

std::vector<int64_t> split_files(const std::vector<std::filesystem::path>& files,
                                 const ReaderOptions& options, const PromptSplit& split,
                                 const std::filesystem::path& directory) {
  if (std::filesystem::exists(directory)) fail("split", "{} exists already", directory.string());
  AtomicDirectory output(directory);
  std::vector<std::unique_ptr<AtomicFile>> parts;
  for (const SplitPart& part : split.parts())
    parts.push_back(std::make_unique<AtomicFile>(output.path() / (part.name + ".jsonl")));
  std::vector<int64_t> records(parts.size(), 0);
  PreferenceReader reader(files, options);
  PreferenceRecord record;
  int64_t guessed = 0;
  while (reader.next(record)) {
    guessed += record.prompt_guessed;
    const size_t part = split.part_of(prompt_hash(record));
    parts[part]->write(reader.line() + "\n");
    ++records[part];
  }
  if (guessed > 0) log().warn("{}", guessed_prompts_text(guessed));
  for (const auto& part : parts) part->commit();
  Json description = split.to_json();
  for (size_t p = 0; p < parts.size(); ++p) description["parts"][p]["records"] = records[p];
  write_file_atomically(output.path() / "split.json", dump_json(description, 2) + "\n");
  output.commit();
  return records;
}

int64_t convert_files(const std::vector<std::filesystem::path>& files, const ReaderOptions& options,
                      const std::function<void(const std::string&)>& write) {
  PreferenceReader reader(files, options);
  PreferenceRecord record;
  int64_t records = 0;
  for (; reader.next(record); ++records) write(to_native(record) + "\n");
  return records;
}

}  // namespace dmoerm::data
