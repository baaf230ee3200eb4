// Small decoders, experts and batches for the tests, and a decoder written a second time in plain operations.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "dmoerm/core/random.h"
#include "dmoerm/nn/decoder.h"

namespace dmoerm::nn {

using Sequences = std::vector<std::vector<int32_t>>;

inline DecoderConfig tiny_config() {
  DecoderConfig config;
  config.vocab_size = 40;
  config.hidden_size = 24;
  config.intermediate_size = 36;
  config.num_layers = 2;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 8;
  return config;
}

inline Tensor random_tensor(const std::string& name, torch::IntArrayRef shape, double scale,
                            torch::ScalarType dtype = torch::kFloat32) {
  Tensor result = torch::empty(shape, torch::kFloat64);
  RandomStream stream(5, name);
  double* values = result.data_ptr<double>();
  for (int64_t i = 0; i < result.numel(); ++i) values[i] = scale * stream.normal();
  return result.to(dtype);
}

// Weights large enough that every part shows in the output.
inline Decoder tiny_decoder(const DecoderConfig& config, torch::ScalarType dtype = torch::kFloat32) {
  NamedTensors weights;
  for (const auto& [name, shape] : weight_shapes(config)) {
    weights[name] = random_tensor(name, shape, shape.size() == 1 ? 0.3 : 0.25, dtype);
    if (name.find("norm") != std::string::npos) weights[name] += 1;
  }
  return Decoder(config, std::move(weights));
}

// An expert on the layers whose names end with one of `targets`.
inline LoraExpert tiny_expert(const DecoderConfig& config, int number, int64_t rank,
                              const std::vector<std::string>& targets,
                              torch::ScalarType dtype = torch::kFloat32) {
  LoraExpert expert;
  for (const LinearShape& layer : config.linear_layers())
    for (const std::string& target : targets)
      if (layer.name.ends_with(target))
        expert.pairs[layer.name] = {
            random_tensor(fmt::format("a {} {}", number, layer.name), {rank, layer.in}, 0.2, dtype),
            random_tensor(fmt::format("b {} {}", number, layer.name), {layer.out, rank}, 0.3, dtype),
            0.5 + number};
  return expert;
}

// Experts differing in rank, scale and layers.
inline ExpertSet tiny_experts(const DecoderConfig& config, torch::ScalarType dtype = torch::kFloat32) {
  ExpertSet set;
  set.experts = {tiny_expert(config, 0, 2, {"q_proj", "v_proj"}, dtype),
                 tiny_expert(config, 1, 3, {"proj"}, dtype),
                 tiny_expert(config, 2, 1, {"0.mlp.gate_proj", "down_proj", "o_proj"}, dtype)};
  return set;
}

inline std::vector<int32_t> random_tokens(int64_t count, uint64_t seed, int64_t vocab_size = 40) {
  RandomStream stream(seed, "tokens");
  std::vector<int32_t> tokens(count);
  for (int32_t& token : tokens) token = static_cast<int32_t>(stream.below(vocab_size));
  return tokens;
}

inline std::vector<int32_t> join(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Every sequence for every expert 0 … experts - 1 (one group); experts 0: for the base. Items are in the
// order sequence, then expert.
inline Batch packed(const Sequences& sequences, int32_t num_experts = 0, bool share = true,
                    int64_t longest_sharing = INT64_MAX) {
  std::vector<data::PackItem> items;
  for (const auto& sequence : sequences)
    for (int32_t expert = 0; expert < std::max(1, num_experts); ++expert)
      items.push_back({sequence, 0, num_experts == 0 ? -1 : expert});
  return to_device(data::pack(items, num_experts, share, longest_sharing), torch::kCPU);
}

// Groups that packing treats differently.
inline std::vector<std::pair<std::string, Sequences>> awkward_groups() {
  const auto prompt = random_tokens(11, 1);
  Sequences two = {join(prompt, random_tokens(5, 2)), join(prompt, random_tokens(9, 3))};
  Sequences seven = {prompt};
  for (uint64_t i = 0; i < 6; ++i) seven.push_back(join(prompt, random_tokens(1 + 2 * i, 10 + i)));
  const Sequences cut = {two[0], two[1], {two[1].begin() + 4, two[1].end()}};
  const Sequences prefixes = {join(prompt, {1, 2, 3, 4}), join(prompt, {1, 2}),
                              join(prompt, {1, 2, 3, 4, 5, 6}), prompt};
  return {{"one answer", {two[0]}},
          {"two answers", two},
          {"seven answers", seven},
          {"one-token answers", {join(prompt, {3}), join(prompt, {4}), join(prompt, {3})}},
          {"empty prompt", {random_tokens(6, 4), random_tokens(3, 5), {7}}},
          {"cut prompt", cut},
          {"an answer begins with another", prefixes}};
}

inline void expect_near(const Tensor& actual, const Tensor& expected, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  ASSERT_TRUE(torch::isfinite(actual).all().item<bool>()) << what;
  const double scale = std::max(1.0, expected.abs().max().item<double>());
  EXPECT_LE((actual.to(torch::kFloat64) - expected.to(torch::kFloat64)).abs().max().item<double>(),
            tolerance * scale)
      << what;
}

// Gradients that loss().backward() left in the float64 parameters against central differences, at a few
// random places of each: within 1e-6 of max(1, the difference).
inline void expect_finite_differences(const std::vector<std::pair<std::string, Tensor>>& parameters,
                                      const std::function<Tensor()>& loss, int places,
                                      const std::string& what) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, parameter] : parameters) {
    double* values = parameter.data_ptr<double>();
    RandomStream stream(1, name);
    for (int i = 0; i < places; ++i) {
      const auto index = static_cast<int64_t>(stream.below(parameter.numel()));
      const double value = values[index], step = 1e-5;
      values[index] = value + step;
      const double above = loss().item<double>();
      values[index] = value - step;
      const double below = loss().item<double>();
      values[index] = value;
      const double expected = (above - below) / (2 * step);
      const double actual =
          parameter.grad().defined() ? parameter.grad().flatten()[index].item<double>() : 0.0;
      EXPECT_NEAR(actual, expected, 1e-6 * std::max(1.0, std::abs(expected)))
          << what << " " << name << " " << index;
    }
  }
}

}  // namespace dmoerm::nn
