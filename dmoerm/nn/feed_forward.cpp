#include "dmoerm/nn/feed_forward.h"

#include <fmt/format.h>

#include "dmoerm/nn/activation.h"

namespace dmoerm::nn {

Tensor feed_forward(const ForwardPass& pass, int64_t layer, const Tensor& x_QD, const Rows& rows) {
  const std::string prefix = fmt::format("layers.{}.mlp.", layer);
  const Tensor gate_QF = pass.linear(prefix + "gate_proj", x_QD, rows);
  const Tensor up_QF = pass.linear(prefix + "up_proj", x_QD, rows);
  return pass.linear(prefix + "down_proj", gated(pass.config().activation, gate_QF, up_QF), rows);
}

}  // namespace dmoerm::nn
