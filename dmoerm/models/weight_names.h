// How a family's files name the weights of the decoder.
//
// The decoder's names are canonical, those of Llama: "layers.0.self_attn.q_proj.weight". Its linear layers
// are the linear modules of the transformers model, one for one, also where a module computes several things
// (query_key_value of GPT-NeoX is one layer, self_attn.qkv_proj). So a stored matrix, and a module that a
// PEFT adapter names, stands for one canonical layer, and only its name differs. The one exception are the
// experts of a MoE layer: their matrices are stacked here ([E, out, in]) and stored one an expert by most
// releases.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::models {

// Both names stand behind "layers.N." and before ".weight" or ".bias", which stay as they are.
struct StoredModule {
  std::string_view canonical;  // "self_attn.o_proj"
  // {"attention.dense"}. A stack of experts: the tensors of one expert, with '*' for its number, whose rows
  // one after another are its part of the stack: {"mlp.experts.*.gate_proj.weight",
  // "mlp.experts.*.up_proj.weight"} for "mlp.experts.gate_up_proj" [E, 2F, D].
  std::vector<std::string_view> stored;
};

struct WeightNames {
  std::string_view prefix = "model.";  // of all but the heads; a bare <Family>Model has none
  std::string_view lm_head = "lm_head.weight";
  std::vector<StoredModule> modules;  // those whose stored name is not the canonical one
  // Tensors of old releases that are computed, not loaded: they may be left over.
  std::vector<std::string_view> unused_suffixes = {"rotary_emb.inv_freq"};

  // The module of a canonical linear layer, as transformers and PEFT name it:
  // "layers.0.self_attn.o_proj" -> "gpt_neox.layers.0.attention.dense". Not for stacks of experts.
  std::string module_of(const std::string& layer) const;

  // The tensors, without the prefix, whose rows one after another are the canonical weight of this shape:
  // one, or those of all experts, the first expert's first.
  std::vector<std::string> tensors_of(const std::string& weight, const std::vector<int64_t>& shape) const;
};

}  // namespace dmoerm::models
