// A real pretrained model: the greedy continuation that transformers writes. Wants DMOERM_SHARED.
#include <cstdlib>

#include "tests/models/model_fixtures.h"

namespace dmoerm::models {
namespace {

TEST(Stories, GreedyTokensAndLastLogits) {
  const char* shared = std::getenv("DMOERM_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "DMOERM_SHARED is not set";
  torch::NoGradGuard no_grad;
  const fs::path directory = fs::path(shared) / "models/stories260K";
  const Checkpoint model = load_checkpoint(directory);
  const Json expected = load_json(directory / "expected_greedy.json");
  const auto ids = expected["greedy_ids"].get<std::vector<int32_t>>();
  ASSERT_EQ(ids.size(), 121u);
  const auto logits_after = [&](const std::vector<int32_t>& tokens) {
    return torch::mv(model.lm_weight, model.decoder->last_hidden(packed({tokens}))[0]);
  };
  std::vector<int32_t> tokens = {ids.front()};
  while (tokens.size() < ids.size())
    tokens.push_back(static_cast<int32_t>(logits_after(tokens).argmax().item<int64_t>()));
  EXPECT_EQ(tokens, ids);
  expect_close(logits_after(ids), torch::tensor(expected["last_logits"].get<std::vector<double>>()), 1e-4,
               "last logits");
}

}  // namespace
}  // namespace dmoerm::models
