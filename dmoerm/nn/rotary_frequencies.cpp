#include "dmoerm/nn/rotary_frequencies.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "dmoerm/core/error.h"

namespace dmoerm::nn {
namespace {

constexpr std::array kTypes = {"default", "linear", "dynamic", "llama3", "yarn"};

constexpr double kLargest = 1e15;  // of any setting

void check_positive(std::string_view where, const char* name, double value) {
  if (!(value > 0 && value <= kLargest))
    fail(where, "rotary {} is {}, expected a positive number", name, value);
}

void check_not_negative(std::string_view where, const char* name, double value) {
  if (!(value >= 0 && value <= kLargest))
    fail(where, "rotary {} is {}, expected a number, none negative", name, value);
}

Tensor plain_frequencies(double theta, int64_t channels) {
  const Tensor exponents = torch::arange(0, channels, 2, torch::kInt64).to(torch::kFloat32) / channels;
  return 1.0 / torch::pow(theta, exponents);
}

// NTK-aware scaling: theta grows with the length beyond the original one.
Tensor dynamic_frequencies(const RotaryConfig& config, int64_t channels, int64_t length) {
  const double ratio =
      std::max(static_cast<double>(length), config.original_max_position) / config.original_max_position;
  const double growth = config.factor * ratio - (config.factor - 1);
  const double exponent = static_cast<double>(channels) / static_cast<double>(channels - 2);
  return plain_frequencies(config.theta * std::pow(growth, exponent), channels);
}

// Llama 3.1: low frequencies are divided by the factor, high ones kept, those between blended.
Tensor llama3_frequencies(const RotaryConfig& config, const Tensor& plain) {
  const Tensor wavelength = 2 * M_PI / plain;
  const double low_wavelength = config.original_max_position / config.low_freq_factor;
  const double high_wavelength = config.original_max_position / config.high_freq_factor;
  const Tensor smooth = (config.original_max_position / wavelength - config.low_freq_factor) /
                        (config.high_freq_factor - config.low_freq_factor);
  const Tensor blended = (1 - smooth) * plain / config.factor + smooth * plain;
  const Tensor scaled = torch::where(wavelength > low_wavelength, plain / config.factor, blended);
  return torch::where(wavelength < high_wavelength, plain, scaled);
}

// Channel pairs that turn more than beta_fast times over the original length are kept, those that turn less
// than beta_slow times are divided by the factor, with a linear ramp between.
Tensor yarn_frequencies(const RotaryConfig& config, int64_t channels, const Tensor& plain) {
  const auto pair_of = [&](double turns) {
    return static_cast<double>(channels) * std::log(config.original_max_position / (turns * 2 * M_PI)) /
           (2 * std::log(config.theta));
  };
  double low = pair_of(config.beta_fast), high = pair_of(config.beta_slow);
  if (config.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(channels - 1));
  if (low == high) high += 0.001;
  const Tensor ramp = ((torch::arange(channels / 2, torch::kFloat32) - low) / (high - low)).clamp(0, 1);
  return plain / config.factor * ramp + plain * (1 - ramp);
}

}  // namespace

void check_rotary(const RotaryConfig& config, std::string_view where) {
  if (std::ranges::find(kTypes, config.type) == kTypes.end())
    fail(where, "rotary type \"{}\" is not supported: expected one of {}", config.type,
         fmt::join(kTypes, ", "));
  check_positive(where, "theta", config.theta);
  check_positive(where, "factor", config.factor);
  check_positive(where, "original_max_position_embeddings", config.original_max_position);
  if (config.type == "llama3") {
    check_positive(where, "low_freq_factor", config.low_freq_factor);
    check_positive(where, "high_freq_factor", config.high_freq_factor);
    if (config.high_freq_factor <= config.low_freq_factor)
      fail(where, "rotary high_freq_factor is {}, expected more than low_freq_factor {}",
           config.high_freq_factor, config.low_freq_factor);
  }
  if (config.type == "yarn") {
    check_positive(where, "beta_fast", config.beta_fast);
    check_positive(where, "beta_slow", config.beta_slow);
    check_not_negative(where, "attention_factor", config.attention_factor);
    check_not_negative(where, "mscale", config.mscale);
    check_not_negative(where, "mscale_all_dim", config.mscale_all_dim);
    if (config.theta <= 1) fail(where, "rotary theta is {}, expected more than 1 with yarn", config.theta);
  }
}

Tensor rotary_frequencies(const RotaryConfig& config, int64_t channels, int64_t length) {
  if (config.type == "dynamic") return dynamic_frequencies(config, channels, length);
  const Tensor plain = plain_frequencies(config.theta, channels);
  if (config.type == "linear") return plain / config.factor;
  if (config.type == "llama3") return llama3_frequencies(config, plain);
  if (config.type == "yarn") return yarn_frequencies(config, channels, plain);
  return plain;
}

double yarn_mscale(double factor, double mscale) {
  return factor <= 1 ? 1 : 1 + 0.1 * mscale * std::log(factor);
}

double rotary_attention_factor(const RotaryConfig& config) {
  if (config.type != "yarn") return 1;
  if (config.attention_factor > 0) return config.attention_factor;
  if (config.mscale > 0 && config.mscale_all_dim > 0)
    return yarn_mscale(config.factor, config.mscale) / yarn_mscale(config.factor, config.mscale_all_dim);
  return yarn_mscale(config.factor, 1);
}

}  // namespace dmoerm::nn
