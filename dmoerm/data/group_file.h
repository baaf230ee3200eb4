// The bytes of a group store's file: groups one after another, an index, the task names, a trailer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/core/file.h"
#include "dmoerm/data/prompt_group.h"

namespace dmoerm::data {

// Where a group lies, and what is asked about it without reading it.
struct GroupEntry {
  uint64_t begin = 0, size = 0, hash = 0;  // bytes of the group and their hash
  uint64_t prompt_hash = 0;
  int64_t num_tokens = 0;
  uint64_t task = 0;  // index into the task names
};

struct GroupFileTrailer {
  // Its number grows when records are read or hashed in another way, so that caches are built again.
  char magic[8] = {'D', 'M', 'G', 'R', 'O', 'U', 'P', '2'};
  uint64_t key = 0;
  uint64_t num_groups = 0, index_begin = 0, tasks_begin = 0;
  EncodeCounts counts;
  uint64_t fingerprint = 0;  // of index and task names
  uint64_t hash = 0;         // of the trailer up to here
};

std::string serialize(const PromptGroup& group);  // without the task; a multiple of 8 bytes
PromptGroup deserialize(std::string_view bytes);  // Error when the bytes are not a group

// Writes groups as they come; nothing is at `path` before finish().
class GroupFileWriter {
 public:
  explicit GroupFileWriter(const std::filesystem::path& path) : file_(path) {}
  void add(const PromptGroup& group, uint64_t task);
  void finish(uint64_t key, const std::vector<std::string>& tasks, const EncodeCounts& counts);

 private:
  void write(std::string_view bytes);

  AtomicFile file_;
  std::string buffer_;
  uint64_t written_ = 0;
  std::vector<GroupEntry> index_;
};

}  // namespace dmoerm::data
