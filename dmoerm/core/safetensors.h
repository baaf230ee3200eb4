// The safetensors format: a JSON header and raw little-endian tensors in one memory-mapped file.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dmoerm/core/compat.h"

namespace dmoerm {

class MappedFile;

// Read access. The header is checked whole (types, shapes, offsets, gaps, the file's size) before any use.
class SafeTensors {
 public:
  explicit SafeTensors(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return entries_.count(name) > 0; }
  std::vector<int64_t> shape(const std::string& name) const;
  torch::ScalarType dtype(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // A read-only view of the mapped file in its stored dtype; it keeps the map alive. Copy before writing.
  Tensor tensor(const std::string& name) const;
  // Takes the tensor's bytes out of memory, once they were copied: views of it stay valid and read the file
  // again.
  void release(const std::string& name) const;

 private:
  struct Entry {
    torch::ScalarType dtype;
    std::vector<int64_t> shape;
    size_t begin, end;  // bytes from the start of the file
  };
  const Entry& entry(const std::string& name) const;

  std::filesystem::path path_;
  std::shared_ptr<MappedFile> file_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

using NamedTensors = std::map<std::string, Tensor>;

NamedTensors load_safetensors(const std::filesystem::path& path);  // all tensors, as views

// Writes atomically. Tensors are moved to the CPU and made contiguous; metadata always has format = "pt".
void save_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      std::map<std::string, std::string> metadata = {});

}  // namespace dmoerm
