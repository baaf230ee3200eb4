// The checkpoints written by transformers and PEFT, temporary directories, and errors as text.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/models/adapter.h"
#include "dmoerm/models/checkpoint.h"

namespace dmoerm::models {

// Every checkpoint with reference outputs.
inline constexpr const char* kFixtures[] = {"deepseek_v2-seq",
                                            "deepseek_v2-lm",
                                            "deepseek_v3-seq",
                                            "deepseek_v3-lm",
                                            "gpt_neox-seq",
                                            "gpt_neox-lm",
                                            "gpt_neox_sequential-seq",
                                            "gpt_neox_sequential-lm",
                                            "llama-seq",
                                            "llama-lm",
                                            "llama_tied_bias_sharded-seq",
                                            "llama_tied_bias_sharded-lm",
                                            "llama_rope_llama3-seq",
                                            "llama_rope_llama3-lm",
                                            "llama_rope_yarn-seq",
                                            "llama_rope_yarn-lm",
                                            "mistral-seq",
                                            "mistral-lm",
                                            "mixtral-seq",
                                            "mixtral-lm",
                                            "olmoe-lm",
                                            "qwen2-seq",
                                            "qwen2-lm",
                                            "qwen2_labels3-seq",
                                            "qwen2_labels3-lm",
                                            "qwen2_moe-seq",
                                            "qwen2_moe-lm",
                                            "qwen3-seq",
                                            "qwen3-lm",
                                            "qwen3_moe-seq",
                                            "qwen3_moe-lm"};

inline fs::path fixture(const std::string& name) {
  return fs::path(DMOERM_TEST_DATA) / name;
}

inline std::vector<int32_t> ids_of(const Tensor& ids) {
  const Tensor plain = ids.to(torch::kInt32).contiguous();
  return {plain.data_ptr<int32_t>(), plain.data_ptr<int32_t>() + plain.numel()};
}

// One base item a sequence, each its own group.
inline nn::Batch packed(const std::vector<std::vector<int32_t>>& sequences) {
  std::vector<data::PackItem> items;
  for (const auto& sequence : sequences) items.push_back({sequence, static_cast<int64_t>(items.size()), -1});
  return nn::to_device(data::pack(items), torch::kCPU);
}

// Within `tolerance` of the largest expected value.
inline void expect_close(const Tensor& actual, const Tensor& expected, double tolerance,
                         const std::string& what) {
  ASSERT_EQ(actual.numel(), expected.numel()) << what;
  const Tensor difference =
      (actual.flatten().to(torch::kFloat64) - expected.flatten().to(torch::kFloat64)).abs();
  EXPECT_LE(difference.max().item<double>(), tolerance * expected.abs().max().item<double>()) << what;
}

template <typename Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// A directory that is removed at the end.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const fs::path& copy_of = {}) {
    static int number = 0;
    path_ = fs::temp_directory_path() / fmt::format("dmoerm_models_{}_{}", getpid(), number++);
    fs::create_directories(path_);
    if (!copy_of.empty()) fs::copy(copy_of, path_, fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(path_))
      fs::permissions(entry, fs::perms::owner_write, fs::perm_options::add);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { remove_tree(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Rewrites a JSON file after `change`.
template <typename Change>
void edit_json(const fs::path& path, Change change) {
  Json json = load_json(path);
  change(json);
  write_file_atomically(path, dump_json(json));
}

// Rewrites a safetensors file after `change`.
template <typename Change>
void edit_tensors(const fs::path& path, Change change) {
  NamedTensors tensors = load_safetensors(path);
  for (auto& [name, tensor] : tensors) tensor = tensor.clone();
  change(tensors);
  save_safetensors(path, tensors);
}

}  // namespace dmoerm::models
