// Task router: the outer, sparse layer. The user's turns -> probabilities over tasks; the best one is taken.
// N inputs, C tasks, D width.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dmoerm/models/adapter.h"
#include "dmoerm/models/checkpoint.h"
#include "dmoerm/reward/packed_states.h"

namespace dmoerm::reward {

// Classifier: a backbone of its own, as published. Adapter: a LoRA over the shared base. Head: one linear
// layer on the shared base's states.
enum class RouterKind { Classifier, Adapter, Head };

std::string router_kind_name(RouterKind kind);  // "classifier", "adapter", "head"

struct TaskRouter {
  RouterKind kind = RouterKind::Classifier;
  std::vector<std::string> labels;  // task of each logit
  int64_t top = 1;  // so many best tasks are scored, their rewards mixed by their probabilities
  std::optional<models::Checkpoint> own;   // Classifier: backbone and head
  std::shared_ptr<nn::Decoder> shared;     // Adapter, Head: the shared base
  std::optional<models::Adapter> adapter;  // Adapter: with its head
  Tensor head_CD;                          // Head: [C, D] float32

  const nn::Decoder& decoder() const { return own ? *own->decoder : *shared; }
  const Tensor& head() const;  // [C, D] float32, of whichever kind
  nn::ExpertSet expert_set() const;

  Tensor logits_of_states(const Tensor& z_ND) const;  // [N, C] float32; differentiable
  // Token ids of each input (data::GroupEncoder::encode_router_input) -> [N, C] float32 on the CPU.
  Tensor logits(std::span<const std::vector<int32_t>> inputs, const StatesOptions& options = {}) const;

  // `path` as named in dmoerm.json; `shared` may be null for a classifier.
  static TaskRouter load(const std::filesystem::path& path, RouterKind kind, std::vector<std::string> labels,
                         std::shared_ptr<nn::Decoder> shared, const models::LoadOptions& options,
                         const models::WeightNames& names = {});  // of the shared base
  // Writes into a new directory `path`; `base_path` is the shared base seen from there (for the adapter's
  // config).
  void save(const std::filesystem::path& path, const std::string& base_path) const;
};

}  // namespace dmoerm::reward
