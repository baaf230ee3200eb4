#include "dmoerm/models/weight_files.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "dmoerm/core/error.h"
#include "dmoerm/core/json.h"

namespace dmoerm::models {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_directory(const fs::path& directory) {
  const std::string where = directory.string();
  if (fs::exists(directory / "pytorch_model.bin") || fs::exists(directory / "pytorch_model.bin.index.json"))
    fail(where,
         "found pickled weights (pytorch_model.bin), expected model.safetensors; convert them once with "
         "transformers: "
         "AutoModelForSequenceClassification (or …CausalLM) "
         ".from_pretrained(\"{0}\").save_pretrained(\"{0}\")",
         where);
  fail(where, "found neither model.safetensors nor model.safetensors.index.json");
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace

WeightFiles::WeightFiles(const fs::path& directory) {
  const fs::path single = directory / "model.safetensors", index = directory / "model.safetensors.index.json";
  if (fs::exists(single))
    open_single(single);
  else if (fs::exists(index))
    open_shards(directory, index);
  else
    refuse_directory(directory);
}

void WeightFiles::open_single(const fs::path& path) {
  where_ = path.string();
  files_.emplace_back(path);
  for (const std::string& name : files_.back().names()) file_of_.emplace(name, 0);
}

void WeightFiles::open_shards(const fs::path& directory, const fs::path& index) {
  where_ = index.string();
  const Json json = load_json(index);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object()) fail(where_, "\"weight_map\" is missing or not an object");
  std::map<std::string, size_t> shards;
  for (const auto& [tensor, file] : map->items()) {
    const std::string name = json_field<std::string>(*map, tensor, where_);
    if (fs::path(name).filename() != name) fail(where_, "shard \"{}\" is not a file name", name);
    const auto [shard, added] = shards.emplace(name, files_.size());
    if (added) files_.emplace_back(directory / name);
    if (!files_[shard->second].contains(tensor))
      fail(where_, "tensor {} is not in its shard {}", tensor, name);
    file_of_.emplace(tensor, shard->second);
  }
  for (size_t i = 0; i < files_.size(); ++i)
    for (const std::string& tensor : files_[i].names()) {
      const auto listed = file_of_.find(tensor);
      if (listed == file_of_.end() || listed->second != i)
        fail(files_[i].path().string(), "tensor {} is not listed for this shard in {}", tensor, where_);
    }
}

std::vector<fs::path> WeightFiles::paths() const {
  std::vector<fs::path> result;
  for (const SafeTensors& file : files_) result.push_back(file.path());
  if (result.front() != where_) result.emplace_back(where_);
  return result;
}

bool WeightFiles::any_begins_with(std::string_view prefix) const {
  const auto first = file_of_.lower_bound(std::string(prefix));
  return first != file_of_.end() && first->first.starts_with(prefix);
}

// The stored tensor itself, checked.
Tensor WeightFiles::view(const std::string& name, const std::vector<int64_t>& shape) const {
  const auto found = file_of_.find(name);
  if (found == file_of_.end()) fail(where_, "tensor {} is missing", name);
  const SafeTensors& file = files_[found->second];
  const std::string where = file.path().string();
  if (file.shape(name) != shape)
    fail(where, "tensor {} has shape {}, expected {}", name, shape_text(file.shape(name)), shape_text(shape));
  if (!torch::isFloatingType(file.dtype(name)))
    fail(where, "tensor {} holds {}, expected floating-point numbers", name,
         torch::toString(file.dtype(name)));
  return file.tensor(name);
}

Tensor WeightFiles::take(const std::vector<std::string>& names, const std::vector<int64_t>& shape,
                         const torch::TensorOptions& options) {
  const auto num_parts = static_cast<int64_t>(names.size());
  std::vector<int64_t> part_shape = shape;
  if (num_parts > 1) {
    int64_t rows = 1;
    for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
    DMOERM_ASSERT(rows % num_parts == 0);
    part_shape = {rows / num_parts, shape.back()};
  }
  std::vector<Tensor> parts;
  for (const std::string& name : names) parts.push_back(view(name, part_shape));
  Tensor whole = torch::empty(shape, options);
  const Tensor rows = whole.view({num_parts, -1});
  for (int64_t i = 0; i < num_parts; ++i) {
    const bool first_time = taken_.insert(names[i]).second;
    DMOERM_ASSERT(first_time);  // every byte is read once
    rows[i].copy_(parts[i].flatten());
    files_[file_of_.at(names[i])].release(names[i]);
  }
  return whole;
}

void WeightFiles::finish(const std::vector<std::string_view>& unused_suffixes,
                         const std::vector<std::string>& unused_prefixes) const {
  std::vector<std::string> left;
  for (const auto& [name, file] : file_of_) {
    const bool unused =
        std::ranges::any_of(unused_suffixes, [&](auto suffix) { return name.ends_with(suffix); }) ||
        std::ranges::any_of(unused_prefixes, [&](const auto& prefix) { return name.starts_with(prefix); });
    if (!unused && taken_.count(name) == 0) left.push_back(name);
  }
  if (left.empty()) return;
  const std::string file = files_[file_of_.at(left.front())].path().string();
  if (left.size() == 1) fail(file, "tensor {} has no place in the model", left.front());
  fail(file, "tensor {} and {} more have no place in the model", left.front(), left.size() - 1);
}

}  // namespace dmoerm::models
