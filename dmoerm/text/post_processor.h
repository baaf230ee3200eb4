// The post-processor of a tokenizer.json: the special tokens around a finished sequence.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dmoerm/core/json.h"

namespace dmoerm::text {

class PostProcessor {
 public:
  // null, TemplateProcessing (its form for one sequence), ByteLevel (which only moves offsets), Sequence.
  // Error, naming `where`, for any other.
  static PostProcessor from_json(const Json& json, const std::string& where);

  // Whether the sequence begins with BOS, ends with EOS: add_bos_token and add_eos_token.
  void set_bos(int32_t id, bool add);
  void set_eos(int32_t id, bool add);

  const std::vector<int32_t>& prefix() const { return prefix_; }
  const std::vector<int32_t>& suffix() const { return suffix_; }

 private:
  void add(const Json& json, const std::string& where);
  std::vector<int32_t> prefix_, suffix_;
};

}  // namespace dmoerm::text
