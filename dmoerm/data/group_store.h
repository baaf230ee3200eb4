// Tokenised prompt groups in a memory-mapped file: a million pairs train in flat memory.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dmoerm/core/file.h"
#include "dmoerm/data/prompt_group.h"
#include "dmoerm/data/reader.h"

namespace dmoerm::data {

class GroupStore {
 public:
  // Calls `next` until it returns false, encodes each record, merges records of one prompt and task into one
  // group (first-seen order), and writes the cache at `path` atomically. An existing cache with the same
  // `key` (data, tokenizer, format, length limit) is opened instead, and `next` is never called; any other is
  // replaced. Records that the encoder drops, and nothing else, are absent; what was cut or dropped is
  // logged.
  static GroupStore build(const std::filesystem::path& path, uint64_t key, GroupEncoder& encoder,
                          const std::function<bool(PreferenceRecord&)>& next);
  static GroupStore open(const std::filesystem::path& path);  // Error when damaged

  int64_t size() const;
  PromptGroup get(int64_t index) const;  // Error when this group's part of the file is damaged
  // Without touching the sequences:
  const std::string& task(int64_t index) const;
  uint64_t prompt_hash(int64_t index) const;
  int64_t num_tokens(int64_t index) const;  // of all sequences, nothing shared
  uint64_t fingerprint() const;             // of the content, to notice changed data on resume
  uint64_t key() const;
  const EncodeCounts& counts() const;  // of the records it was built from

 private:
  struct Impl;
  explicit GroupStore(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// The key of a cache of these files: their content, how they are read, and how they are encoded.
uint64_t cache_key(const std::vector<std::filesystem::path>& files, const ReaderOptions& options,
                   const GroupEncoder& encoder);

}  // namespace dmoerm::data
