#include "dmoerm/data/group_store.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <tuple>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/data/group_file.h"
#include "dmoerm/data/spill_file.h"

namespace dmoerm::data {

struct GroupStore::Impl {
  explicit Impl(const std::filesystem::path& path) : path(path), file(path) {
    if (file.size() < sizeof trailer) damaged("it is too short");
    std::memcpy(&trailer, file.data() + file.size() - sizeof trailer, sizeof trailer);
    if (std::memcmp(trailer.magic, GroupFileTrailer().magic, sizeof trailer.magic) != 0)
      damaged("it has not the form of a cache");
    const std::string_view bytes(reinterpret_cast<const char*>(&trailer), offsetof(GroupFileTrailer, hash));
    if (hash64(bytes) != trailer.hash) damaged("its trailer does not match its hash");
    const uint64_t tasks_end = file.size() - sizeof trailer;
    if (trailer.num_groups > file.size() / sizeof(GroupEntry) || trailer.tasks_begin > tasks_end ||
        trailer.index_begin + trailer.num_groups * sizeof(GroupEntry) != trailer.tasks_begin)
      damaged("its parts do not fit its size");
    const auto index = view(trailer.index_begin, trailer.tasks_begin - trailer.index_begin);
    auto names = view(trailer.tasks_begin, tasks_end - trailer.tasks_begin);
    if (hash_combine(hash64(index), hash64(names)) != trailer.fingerprint)
      damaged("its index does not match its hash");
    entries = reinterpret_cast<const GroupEntry*>(index.data());
    for (size_t end; (end = names.find('\0')) != std::string_view::npos; names.remove_prefix(end + 1))
      tasks.emplace_back(names.substr(0, end));
  }

  std::string_view view(uint64_t begin, uint64_t size) const {
    return {reinterpret_cast<const char*>(file.data()) + begin, size};
  }
  const GroupEntry& entry(int64_t index) const {
    DMOERM_ASSERT(index >= 0 && index < static_cast<int64_t>(trailer.num_groups));
    return entries[index];
  }
  [[noreturn]] void damaged(std::string_view reason) const {
    fail("cache", "{} is damaged: {}; delete it and it is built again", path.string(), reason);
  }

  std::filesystem::path path;
  MappedFile file;
  GroupFileTrailer trailer;
  const GroupEntry* entries = nullptr;
  std::vector<std::string> tasks;
};

namespace {

// An encoded record in the spill file.
struct Piece {
  uint64_t prompt_hash, task, offset, size;
  auto place() const { return std::tuple(prompt_hash, task); }
};

void log_counts(const EncodeCounts& counts, int64_t max_tokens) {
  if (counts.prompts_cut + counts.answers_cut + counts.records_dropped == 0) return;
  log().warn("longer than {} tokens: {} prompts and {} answers cut of {} sequences, {} records dropped",
             max_tokens, counts.prompts_cut, counts.answers_cut, counts.sequences, counts.records_dropped);
}

// Groups of pieces with one prompt and task, in the order in which the first of each was read.
std::vector<std::span<const Piece>> group_pieces(std::vector<Piece>& pieces) {
  std::ranges::sort(pieces, {}, [](const Piece& piece) { return std::tuple(piece.place(), piece.offset); });
  std::vector<std::span<const Piece>> groups;
  for (size_t begin = 0, end = 0; begin < pieces.size(); begin = end) {
    while (end < pieces.size() && pieces[end].place() == pieces[begin].place()) ++end;
    groups.push_back(std::span(pieces).subspan(begin, end - begin));
  }
  std::ranges::sort(groups, {}, [](const auto& group) { return group[0].offset; });
  return groups;
}

void write_cache(const std::filesystem::path& path, uint64_t key, GroupEncoder& encoder,
                 const std::function<bool(PreferenceRecord&)>& next) {
  const EncodeCounts before = encoder.counts();
  SpillFile spill(path);
  std::vector<Piece> pieces;
  std::map<std::string, uint64_t> task_index;
  std::vector<std::string> tasks;
  Progress progress("tokenise", 0, "records");
  PreferenceRecord record;
  while (next(record)) {
    progress.advance(1);
    const PromptGroup group = encoder.encode(record);
    if (group.sequences.empty()) continue;  // dropped as too long, and counted
    const auto [task, fresh] = task_index.emplace(group.task, tasks.size());
    if (fresh) tasks.push_back(group.task);
    const std::string bytes = serialize(group);
    pieces.push_back({group.prompt_hash, task->second, spill.append(bytes), bytes.size()});
  }

  GroupFileWriter writer(path);
  for (const auto& group : group_pieces(pieces)) {
    std::vector<PromptGroup> records;
    for (const Piece& piece : group) records.push_back(deserialize(spill.read(piece.offset, piece.size)));
    writer.add(merge_groups(std::move(records)), group[0].task);
  }
  writer.finish(key, tasks, encoder.counts() - before);
}

}  // namespace

GroupStore GroupStore::build(const std::filesystem::path& path, uint64_t key, GroupEncoder& encoder,
                             const std::function<bool(PreferenceRecord&)>& next) {
  std::optional<GroupStore> store;
  if (std::filesystem::exists(path)) {
    try {
      store = open(path);
      if (store->key() != key) store.reset();
    } catch (const Error& error) {
      log().warn("building the cache again: {}", error.what());
    }
  }
  if (!store) {
    write_cache(path, key, encoder, next);
    store = open(path);
  }
  log_counts(store->counts(), encoder.options().max_tokens);
  return *store;
}

GroupStore GroupStore::open(const std::filesystem::path& path) {
  return GroupStore(std::make_shared<const Impl>(path));
}

int64_t GroupStore::size() const {
  return static_cast<int64_t>(impl_->trailer.num_groups);
}

PromptGroup GroupStore::get(int64_t index) const {
  const GroupEntry& entry = impl_->entry(index);
  if (entry.begin + entry.size > impl_->trailer.index_begin) impl_->damaged("a group lies outside it");
  const auto bytes = impl_->view(entry.begin, entry.size);
  if (hash64(bytes) != entry.hash) impl_->damaged(fmt::format("group {} does not match its hash", index));
  PromptGroup group = deserialize(bytes);
  group.task = task(index);
  return group;
}

const std::string& GroupStore::task(int64_t index) const {
  return impl_->tasks.at(impl_->entry(index).task);
}
uint64_t GroupStore::prompt_hash(int64_t index) const {
  return impl_->entry(index).prompt_hash;
}
int64_t GroupStore::num_tokens(int64_t index) const {
  return impl_->entry(index).num_tokens;
}
uint64_t GroupStore::fingerprint() const {
  return impl_->trailer.fingerprint;
}
uint64_t GroupStore::key() const {
  return impl_->trailer.key;
}
const EncodeCounts& GroupStore::counts() const {
  return impl_->trailer.counts;
}

uint64_t cache_key(const std::vector<std::filesystem::path>& files, const ReaderOptions& options,
                   const GroupEncoder& encoder) {
  uint64_t key = hash_combine(encoder.fingerprint(), files.size());
  for (const bool option : {options.text_as_turn, options.require_ranks, options.skip_bad})
    key = hash_combine(key, option);
  std::string block(1 << 20, '\0');
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    if (!file) fail("read", "cannot read {}", path.string());
    while (file.read(block.data(), block.size()), file.gcount() > 0)
      key = hash_combine(key, hash64({block.data(), static_cast<size_t>(file.gcount())}));
    key = hash_combine(key, 0);  // the file's end
  }
  return key;
}

}  // namespace dmoerm::data
