// Next-token training of a base from documents.
#pragma once

#include <string>
#include <vector>

#include "dmoerm/nn/decoder.h"
#include "dmoerm/train/objective.h"

namespace dmoerm::train {

// Token sequences, one after another in one buffer; each is trained on alone (no attention across documents).
struct TokenDocuments {
  std::vector<int32_t> tokens;
  std::vector<int64_t> begins = {0};  // begins[i] .. begins[i + 1]: document i
  int64_t size() const { return static_cast<int64_t>(begins.size()) - 1; }
  void add(std::span<const int32_t> document) {
    tokens.insert(tokens.end(), document.begin(), document.end());
    begins.push_back(static_cast<int64_t>(tokens.size()));
  }
  std::span<const int32_t> operator[](int64_t i) const {
    return {tokens.data() + begins[i], static_cast<size_t>(begins[i + 1] - begins[i])};
  }
};

class LanguageModelObjective : public Objective {
 public:
  // `lm_weight` [V, D] is the output layer, or undefined when the embedding is tied to it. Documents have at
  // least two tokens. Trained in place.
  LanguageModelObjective(nn::Decoder& decoder, Tensor lm_weight, const TokenDocuments& train,
                         const TokenDocuments& held_out, int64_t token_budget);
  ~LanguageModelObjective() override;

  int64_t num_lanes() const override { return 1; }
  std::string lane_name(int64_t) const override { return "base"; }
  NamedParameters parameters(int64_t lane) override;
  std::vector<Source> sources(int64_t) const override { return {{0, train_.size(), 1}}; }
  StepResult accumulate(const StepRequest& request) override;
  bool shrink() override { return halve_token_budget(token_budget_); }
  // Score: minus the mean loss (nats a token).
  std::vector<Evaluation> evaluate(const std::vector<int64_t>& lanes) override;

 private:
  // Sum of the losses of all next tokens of the documents.
  Tensor loss_sum(const std::vector<std::span<const int32_t>>& documents) const;

  nn::Decoder& decoder_;
  Tensor lm_weight_;
  const TokenDocuments &train_, &held_out_;
  int64_t token_budget_;
};

}  // namespace dmoerm::train
