#include "dmoerm/train/language_model_objective.h"
#include "tests/train/train_fixture.h"

namespace dmoerm::train {
namespace {

class LanguageModelTest : public TrainTest {
 protected:
  static TokenDocuments random_documents(uint64_t seed) {
    TokenDocuments documents;
    for (uint64_t i = 0; i < 7; ++i) {
      RandomStream random(seed, "documents", {i});
      std::vector<int32_t> ids(2 + random.below(12));
      for (int32_t& id : ids) id = static_cast<int32_t>(random.below(50));
      documents.add(ids);
    }
    return documents;
  }
  // The mean loss with each document run alone, in plain operations.
  static Tensor plain_loss(const nn::Decoder& decoder, const Tensor& output_VD,
                           const TokenDocuments& documents) {
    Tensor total = torch::zeros({});
    int64_t count = 0;
    for (int64_t i = 0; i < documents.size(); ++i) {
      const auto document = documents[i];
      const data::PackItem item{document, 0, -1};
      const Tensor hidden = decoder.hidden(nn::to_device(data::pack({&item, 1}), torch::kCPU));
      const Tensor log_p = torch::log_softmax(hidden.mm(output_VD.t()), 1);
      for (size_t t = 0; t + 1 < document.size(); ++t, ++count) total = total - log_p[t][document[t + 1]];
    }
    return total / count;
  }
};

TEST_F(LanguageModelTest, LossAndGradientAreThoseOfEachDocumentAlone) {
  const TokenDocuments train = random_documents(1), held_out = random_documents(2);
  for (const bool tied : {true, false}) {
    for (const int64_t budget : {5, 30, 1000}) {
      nn::Decoder decoder(tiny_config(), 3);
      const Tensor output = tied ? Tensor() : random_head(50, 16, 1);
      LanguageModelObjective objective(decoder, output, train, held_out, budget);
      const Tensor& output_VD = tied ? decoder.weights().at("embed_tokens.weight") : output;
      const StepResult result = objective.accumulate({0, {{0, 1, 2, 3, 4, 5, 6}}});
      std::map<std::string, Tensor> found;
      for (auto& [name, parameter] : objective.parameters(0)) {
        found[name] = parameter.grad().clone();
        parameter.mutable_grad() = Tensor();
      }
      const Tensor expected = plain_loss(decoder, output_VD, train);
      expected.backward();
      EXPECT_NEAR(result.measures()[0]["loss"].get<double>(), expected.item<double>(), 1e-5);
      for (const auto& [name, parameter] : objective.parameters(0))
        EXPECT_LT((found[name] - parameter.grad()).abs().max().item<double>(), 1e-5)
            << name << " " << tied << " " << budget;
      EXPECT_NEAR(-objective.evaluate({0})[0].score, plain_loss(decoder, output_VD, held_out).item<double>(),
                  1e-5);
    }
  }
}

}  // namespace
}  // namespace dmoerm::train
