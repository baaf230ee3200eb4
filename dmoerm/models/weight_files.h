// The safetensors files of a model directory: model.safetensors, or shards with model.safetensors.index.json.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/core/safetensors.h"

namespace dmoerm::models {

class WeightFiles {
 public:
  // Error for a missing file, an index that does not agree with its shards, and pickled weights.
  explicit WeightFiles(const std::filesystem::path& directory);

  // The files themselves: weights, and the index where there is one.
  std::vector<std::filesystem::path> paths() const;

  bool contains(const std::string& name) const { return file_of_.count(name) > 0; }
  bool any_begins_with(std::string_view prefix) const;

  // A weight of this shape converted to `options`, a copy. Its rows (all but the last dimension, flattened)
  // are those of the tensors `names`, equal parts, one after another. Error, naming file and tensor, when one
  // is missing, of another shape or does not hold floating-point numbers; nothing is allocated before.
  // A tensor is taken once, and its bytes leave the memory again.
  Tensor take(const std::vector<std::string>& names, const std::vector<int64_t>& shape,
              const torch::TensorOptions& options);

  // Error when a tensor was never taken, unless its name ends or begins with one of these.
  void finish(const std::vector<std::string_view>& unused_suffixes,
              const std::vector<std::string>& unused_prefixes = {}) const;

 private:
  Tensor view(const std::string& name, const std::vector<int64_t>& shape) const;
  void open_single(const std::filesystem::path& path);
  void open_shards(const std::filesystem::path& directory, const std::filesystem::path& index);

  std::string where_;  // the file that lists all tensors
  std::vector<SafeTensors> files_;
  std::map<std::string, size_t> file_of_;
  std::set<std::string> taken_;
};

}  // namespace dmoerm::models
