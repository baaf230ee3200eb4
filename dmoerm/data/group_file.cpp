#include "dmoerm/data/group_file.h"

#include <cstddef>
#include <cstring>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"

namespace dmoerm::data {
namespace {

constexpr size_t kBufferSize = 1 << 20;

template <typename T>
std::string_view bytes_of(const T* values, size_t count) {
  return {reinterpret_cast<const char*>(values), count * sizeof(T)};
}

void put_count(std::string& out, uint64_t count) {
  out += bytes_of(&count, 1);
}

template <typename T>
void put_list(std::string& out, const std::vector<T>& values) {
  put_count(out, values.size());
  out += bytes_of(values.data(), values.size());
}

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
  uint64_t count() {
    uint64_t value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  template <typename T>
  std::vector<T> list() {
    const uint64_t size = count();
    if (size > bytes_.size() / sizeof(T)) fail("cache", "a group is damaged");
    std::vector<T> values(size);
    if (size > 0) std::memcpy(values.data(), take(size * sizeof(T)).data(), size * sizeof(T));
    return values;
  }

 private:
  std::string_view take(size_t size) {
    if (size > bytes_.size()) fail("cache", "a group is damaged");
    const auto taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::string_view bytes_;
};

}  // namespace

std::string serialize(const PromptGroup& group) {
  std::string out;
  put_count(out, group.prompt_hash);
  put_count(out, group.sequences.size());
  for (const auto& sequence : group.sequences) put_list(out, sequence);
  put_list(out, group.edges);
  put_count(out, group.records.size());
  for (const RecordAnswers& record : group.records) {
    put_list(out, std::vector<char>(record.id.begin(), record.id.end()));
    put_count(out, record.answers_hash);
    put_list(out, record.sequence_of_answer);
  }
  out.resize((out.size() + 7) / 8 * 8);
  return out;
}

PromptGroup deserialize(std::string_view bytes) {
  ByteReader in(bytes);
  PromptGroup group;
  group.prompt_hash = in.count();
  for (uint64_t left = in.count(); left > 0; --left) group.sequences.push_back(in.list<int32_t>());
  group.edges = in.list<Edge>();
  for (uint64_t left = in.count(); left > 0; --left) {
    const auto id = in.list<char>();
    RecordAnswers record{{id.begin(), id.end()}, in.count(), {}};
    record.sequence_of_answer = in.list<int32_t>();
    group.records.push_back(std::move(record));
  }
  return group;
}

void GroupFileWriter::write(std::string_view bytes) {
  buffer_ += bytes;
  written_ += bytes.size();
  if (buffer_.size() < kBufferSize) return;
  file_.write(buffer_);
  buffer_.clear();
}

void GroupFileWriter::add(const PromptGroup& group, uint64_t task) {
  const std::string bytes = serialize(group);
  index_.push_back({written_, bytes.size(), hash64(bytes), group.prompt_hash,
                    static_cast<int64_t>(group.num_tokens()), task});
  write(bytes);
}

void GroupFileWriter::finish(uint64_t key, const std::vector<std::string>& tasks,
                             const EncodeCounts& counts) {
  GroupFileTrailer trailer;
  trailer.key = key;
  trailer.counts = counts;
  trailer.num_groups = index_.size();
  trailer.index_begin = written_;
  trailer.tasks_begin = written_ + index_.size() * sizeof(GroupEntry);
  std::string names;
  for (const std::string& task : tasks) names += task + '\0';
  const auto index = bytes_of(index_.data(), index_.size());
  trailer.fingerprint = hash_combine(hash64(index), hash64(names));
  trailer.hash = hash64(bytes_of(&trailer, 1).substr(0, offsetof(GroupFileTrailer, hash)));
  write(index);
  write(names);
  write(bytes_of(&trailer, 1));
  file_.write(buffer_);
  file_.commit();
}

}  // namespace dmoerm::data
